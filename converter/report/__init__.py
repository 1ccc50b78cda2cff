"""`convert report`: one HTML page that shows what a conversion did and how that was proved.

`figures` and `flow` are what is shown, `traces` and `weights` what it is made of, `page` joins them. Nothing is loaded
from elsewhere, neither scripts nor fonts; colors follow the reader's light or dark setting.
"""
