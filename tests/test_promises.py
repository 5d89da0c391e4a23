"""docs/promises.md names tests that exist."""

import re

from tests.test_layers import ROOT

NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "promises.md").read_text())


def test_every_promise_has_its_test() -> None:
    assert len(NAMED) > 20
    missing = [one for one in NAMED if not (ROOT / one[0]).is_file() or f"def {one[1]}" not in (ROOT / one[0]).read_text()]
    assert missing == []
