"""Runs the documentation's snippets that need a vendor's own client, as they stand on their pages.

    python docs_snippets.py demo.json

The pages mark them with a comment that names scripts/test-clients. Each is run in a folder in which `postrider-data`
is the data folder of the server, as beside `postrider dev`.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

DOCS = pathlib.Path(__file__).resolve().parents[4] / "docs"
MARKED = re.compile(r"<!-- not run: [^\n]*scripts/test-clients runs it -->\n+```python\n(.*?)\n```", re.S)


def main():
    data = pathlib.Path(sys.argv[1]).resolve().parent
    count = 0
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        snippets = MARKED.findall(text)
        assert len(snippets) == text.count("scripts/test-clients runs it -->"), f"{page}: marked, but no Python block"
        for snippet in snippets:
            with tempfile.TemporaryDirectory() as folder:
                os.symlink(data, pathlib.Path(folder) / "postrider-data")
                ran = subprocess.run([sys.executable, "-c", snippet], cwd=folder, capture_output=True, text=True, timeout=60)
            assert ran.returncode == 0, f"{page}:\n{snippet}\n{ran.stderr}"
            count += 1
    assert count >= 3, f"only {count} snippets were found"
    print(f"snippets of the documentation: {count} are fine")


main()
