"""What a fork server gives to every run."""

import os
import subprocess
import sys

import pytest

from settings import ROOT

COMMAND = """
import sys
from pathlib import Path
from ranks.work import die_with_a_bar
from reslab.launch import server
if __name__ == "__main__":
    process = server.start(die_with_a_bar, (), log=Path(sys.argv[1]), environment={}, threads=1)
    process.join()
    sys.exit(process.exitcode)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the fork server is Linux's")
def test_a_run_that_is_killed_with_a_progress_bar_leaves_no_semaphore(tmp_path):
    """In a process of its own, at whose end Python says what was left."""
    script, log = tmp_path / "command.py", tmp_path / "log"
    script.write_text(COMMAND)
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    environment = {name: value for name, value in os.environ.items() if name != "RESLAB_PARENT"} | {"PYTHONPATH": paths}
    said = subprocess.run([sys.executable, script, log], env=environment, capture_output=True, text=True)
    assert log.read_text() == "has a bar\n"
    assert said.returncode == 256 - 9
    assert said.stderr == ""
