"""Which runs are recorded as CUDA graphs is decided, and refused, with the config."""

import pytest

from reslab.launch.compose import compose
from reslab.launch.freeze import Freezer

GPU = ("trainer=gpu", "tracking=disabled")


@pytest.fixture
def trainer(tmp_path):
    """The resolved trainer of a command line on a machine with two GPUs, or none."""

    def resolved(*words, gpus=2):
        freezer = Freezer("test", gpus=gpus)
        return freezer.job(*compose("train", [*words, f"outputs={tmp_path}"]), ()).config["trainer"]

    return resolved


def test_auto_records_what_can_be_recorded(trainer):
    assert trainer(*GPU)["cuda_graph"] is True
    assert trainer("tracking=disabled")["cuda_graph"] is True, "a GPU is there"
    assert trainer("tracking=disabled", gpus=0)["cuda_graph"] is False
    assert trainer("trainer=cpu", "tracking=disabled")["cuda_graph"] is False


CANNOT = {
    "devices=2 x num_nodes=1 exchange gradients": ("devices=2",),
    "intervention=norm_projection changes the update": ("shortcut=none", "intervention=norm_projection"),
    "keeps random states on the host": ("trainer.activation_checkpointing=true",),
    "recipe.optimiser is adam": ("recipe=keras",),
}


@pytest.mark.parametrize("reason", CANNOT)
def test_auto_leaves_others_alone_and_true_is_refused_with_the_reason(trainer, reason):
    words = CANNOT[reason]
    assert trainer(*GPU, *words)["cuda_graph"] is False
    with pytest.raises(ValueError, match=rf"trainer.cuda_graph=true .*{reason}.*use trainer.cuda_graph=auto"):
        trainer(*GPU, *words, "trainer.cuda_graph=true")
    with pytest.raises(ValueError, match=rf"trainer.compile=true .*{reason}.*use trainer.compile=false"):
        trainer(*GPU, *words, "trainer.compile=true")


def test_a_cpu_compiles_the_net_as_one_or_says_why_not(trainer):
    cpu = ("trainer=cpu", "tracking=disabled", "trainer.compile=true")
    assert trainer(*cpu)["compile"] is True
    assert trainer(*cpu, "shortcut=none", "intervention=norm_projection")["compile"] is True
    for word, said in (
        ("devices=2", "devices=2 x num_nodes=1 are 2"),
        ("trainer.activation_checkpointing=true", "segments"),
    ):
        with pytest.raises(ValueError, match=rf"trainer.compile=true .*{said}.*; use trainer.compile=false"):
            trainer(*cpu, word)


def test_a_cpu_records_nothing(trainer):
    with pytest.raises(ValueError, match=r"trainer\.accelerator=cpu has no CUDA graphs"):
        trainer("trainer=cpu", "tracking=disabled", "trainer.cuda_graph=true")


@pytest.mark.parametrize("word", ["maybe", "1", "0", "-0.0"])
def test_other_words_are_refused(trainer, word):
    with pytest.raises(ValueError, match=r"trainer\.cuda_graph=.* is unknown; it is auto, true or false"):
        trainer(*GPU, f"trainer.cuda_graph={word}")


THEIRS = {
    "callbacks.mine may have a part in every step": ("+callbacks.mine._target_=mylab.Clip", "trust=[mylab]"),
    "mylab.swish may compute otherwise from step to step": ("act._target_=mylab.swish", "trust=[mylab]"),
}


@pytest.mark.parametrize("reason", THEIRS)
def test_auto_leaves_alone_what_a_replay_might_leave_out_and_true_records_it(trainer, reason):
    words = THEIRS[reason]
    assert trainer(*GPU, *words)["cuda_graph"] is False
    assert trainer(*GPU, *words, "trainer.cuda_graph=true")["cuda_graph"] is True
    with pytest.raises(ValueError, match=rf"trainer.compile=true .*{reason}.*use trainer.compile=false"):
        trainer(*GPU, *words, "trainer.compile=true")


def test_neither_makes_a_cell_of_its_own(tmp_path):
    freezer = Freezer("test", gpus=1)
    extra = ((), ("trainer.cuda_graph=false",), ("trainer.compile=true",))
    cells = {freezer.job(*compose("train", [*GPU, f"outputs={tmp_path}", *words]), ()).cell for words in extra}
    assert len(cells) == 1
