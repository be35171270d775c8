"""The wait for W&B's service, which it leaves at 0.2 s a look, is cut short; another version must not go unnoticed."""

from types import SimpleNamespace

from wandb.sdk.lib.service import service_port_file

from reslab.tracking import remote


def test_the_service_is_looked_for_often(tmp_path, monkeypatch):
    """W&B's own loop finds the address at its third look, and pauses a few milliseconds between them."""
    monkeypatch.setattr(service_port_file, "_SLEEP", service_port_file._SLEEP)  # put back afterwards
    address, pauses = tmp_path / "port.txt", []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            address.write_text("unix=/there\nEOF")

    monkeypatch.setattr(remote, "time", SimpleNamespace(sleep=sleep))
    remote._look_often()
    service = SimpleNamespace(poll=lambda: None)
    token = service_port_file.poll_for_token(address, service, timeout=30)
    assert token.env_value.endswith("/there")
    assert pauses == [remote.LOOK] * 2


def test_a_version_without_such_a_wait_is_left_alone(monkeypatch):
    monkeypatch.delattr(service_port_file, "_SLEEP")
    remote._look_often()
    assert not hasattr(service_port_file, "_SLEEP")
