"""``python -m lstm_ref.cli``, where the command ``lstm-ref`` is not on the path."""

import sys

from lstm_ref.cli import main

sys.exit(main())
