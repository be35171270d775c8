"""SLURM that is not there: one sentence with a way out."""

import os

import pytest

from reslab.launch.on_slurm import partitions

THREE = """#!/bin/sh
echo "sinfo: error: resolve_ctls_from_dns_srv: res_nsearch error: Unknown host" >&2
echo "sinfo: error: fetch_config: DNS SRV lookup failed" >&2
echo "sinfo: fatal: Could not establish a configuration source" >&2
exit 1
"""


@pytest.mark.parametrize(("script", "said"), [(THREE, "Could not establish a configuration source"), (None, "sinfo")])
def test_slurm_that_does_not_answer_is_one_line_that_ends_with_the_way_out(tmp_path, monkeypatch, script, said):
    if script is not None:
        (tmp_path / "sinfo").write_text(script)
        (tmp_path / "sinfo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin" if script else str(tmp_path))
    with pytest.raises(ValueError, match=said) as caught:
        partitions()
    (line,) = str(caught.value).splitlines()
    assert line.endswith("; leave launcher=slurm out to run here")
