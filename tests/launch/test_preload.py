"""What a fork server gives to every run."""

import sys

import pytest

from ranks.work import by_a_command, die_with_a_bar


@pytest.mark.skipif(sys.platform != "linux", reason="the fork server is Linux's")
def test_a_run_that_is_killed_with_a_progress_bar_leaves_no_semaphore(tmp_path):
    """In a process of its own, at whose end Python says what was left."""
    ended, log = by_a_command(tmp_path, die_with_a_bar)
    assert log == "has a bar\n"
    assert ended.returncode == 256 - 9
    assert ended.stderr == ""
