"""What the pages are made with: equations cut from the source, drawings, formulas as MathML."""
