"""Measurements next to other tools, run by hand and never by the tests; see README.md here.

One thread on every side: NumPy reads this when it is first imported.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
