"""`python -m scones_ops`: the same as the `scones-ops` command."""

import sys

from scones_ops.cli import main

sys.exit(main())
