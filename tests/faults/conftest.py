"""A sweep that was left alone, and one to which something happens."""

import pytest

pytest.register_assert_rewrite("faults.scene")

from faults.scene import Scene  # noqa: E402

PAIR = ("trainer=ddp", "devices=2")


def left_alone(folder, *more, seeds):
    with pytest.MonkeyPatch().context() as context:
        context.chdir(folder)
        context.setattr("sys.argv", ["reslab"])
        from reslab.commands.train import main

        scene = Scene(folder, lambda *words: main([*words, *more]), seeds=seeds)
        assert scene.train() == 0
    return scene.science()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """What three runs find, by seed."""
    return left_alone(tmp_path_factory.mktemp("undisturbed"), seeds=(0, 1, 2))


@pytest.fixture(scope="session")
def undisturbed_pair(tmp_path_factory):
    """What two runs of two ranks find."""
    return left_alone(tmp_path_factory.mktemp("undisturbed-pair"), *PAIR, seeds=(0, 1))


@pytest.fixture
def begin(train, tmp_path):
    """Some of these runs, not begun."""
    begun = []

    def scene(*seeds):
        begun.append(Scene(tmp_path, train, seeds=seeds))
        return begun[-1]

    yield scene
    for one in begun:
        one.close()


@pytest.fixture
def scene(begin):
    """Two of them."""
    return begin(0, 1)


@pytest.fixture
def wide_scene(begin):
    """Three: one more than run at a time on two cores."""
    return begin(0, 1, 2)


@pytest.fixture
def pair(scene):
    """Two, each of two ranks."""
    scene.grid += PAIR
    return scene
