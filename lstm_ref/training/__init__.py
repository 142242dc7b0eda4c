"""Training: losses, metrics, optimizers, and the loop that uses them.

Read in this order: `losses` and `targets` (what is compared, and how masks and weights count),
`optimizers` (how a gradient becomes a new weight), `trainer` (a step, and the epochs around it),
then `evaluator`, `metrics`, `batches`, `history` and `progress`.
"""
