"""Looks for known vulnerabilities in what is installed: 1 where there is one, 0 where there is none or nobody could be asked.

A machine without a way to the advisories says so in plain words, and goes on; see docs/operations.md.
"""

import json
import subprocess
import sys
from importlib import metadata
from typing import Any

import requests

PATIENCE = 5  # seconds for a first question
DJANGO = metadata.version("Django")


def service() -> str | None:
    """The first of pip-audit's sources of advisories that knows our Django: it is asked for that before it is asked for everything."""
    asked = {"package": {"name": "django", "ecosystem": "PyPI"}, "version": DJANGO}
    try:
        if requests.get(f"https://pypi.org/pypi/Django/{DJANGO}/json", timeout=PATIENCE).ok:
            return "pypi"
    except requests.RequestException:
        pass
    try:
        return "osv" if requests.post("https://api.osv.dev/v1/query", json=asked, timeout=PATIENCE).ok else None
    except requests.RequestException:
        return None


def verdict(report: dict[str, Any]) -> tuple[list[str], bool]:
    """What to say of pip-audit's report, and whether nothing is wrong."""
    found = [package for package in report["dependencies"] if package.get("vulns")]
    skipped = sum("skip_reason" in package for package in report["dependencies"])
    said = [
        f"{p['name']} {p['version']}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'no version'}"
        for p in found
        for v in p["vulns"]
    ]
    said.append(f"{len(report['dependencies']) - skipped} packages were looked up, {len(found)} of them have known vulnerabilities")
    if skipped:
        said.append(f"{skipped} packages are not known there, and were not looked at")
    return said, not found


def main() -> int:
    source = service()
    if source is None:
        print("pip-audit: no advisories can be had from here (neither pypi.org nor api.osv.dev knows our Django); NOTHING was audited")
        return 0
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--vulnerability-service",
        source,
        "--local",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - Our own words alone.
    try:
        said, is_well = verdict(json.loads(ended.stdout))
    except ValueError:
        print(f"pip-audit: {source} broke off; NOTHING was audited\n{ended.stderr[-500:]}")
        return 0
    print("\n".join(said))
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
