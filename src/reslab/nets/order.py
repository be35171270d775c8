"""Orders: where norm and activation sit in stem, unit and head, as data; no torch."""

from dataclasses import dataclass

from reslab.specs import ActAt, ConvShape, NormAt, Ops, Unit, span


@dataclass(frozen=True)
class Post:
    """Norm after every convolution, activation after the sum (He 2015, section 3.4)."""

    def after_stem(self, channels: int) -> Ops:
        """Norm and activation."""
        return (NormAt(channels), ActAt())

    def unit(self, branch: tuple[ConvShape, ...], shortcut: Ops | None, *, first: bool) -> Unit:
        """conv norm act ... conv norm, join, act; a shortcut's convolutions carry a norm of their own."""
        ops: Ops = ()
        for conv in branch:
            ops += ((ActAt(),) if ops else ()) + (conv, NormAt(conv.c_out))
        if shortcut is not None:
            shortcut = tuple(part for op in shortcut for part in _with_norm(op))
        return Unit(before=(), branch=ops, shortcut=shortcut, after=(ActAt(),), shortcut_reads_activated=False)

    def before_head(self, channels: int) -> Ops:
        """Nothing: the last unit ends activated."""
        return ()


@dataclass(frozen=True)
class Pre:
    """Norm and activation before every convolution, nothing after the sum (He 2016, Fig. 1b and appendix).

    A shortcut with weights reads the activated input (`projections_read` "activated") or the raw one ("raw",
    as Keras's example does); a shortcut without weights always reads the raw input. No norm on shortcuts.
    """

    projections_read: str

    def after_stem(self, channels: int) -> Ops:
        """The first unit's activation, moved before the split into two paths."""
        return (NormAt(channels), ActAt())

    def unit(self, branch: tuple[ConvShape, ...], shortcut: Ops | None, *, first: bool) -> Unit:
        """norm act conv ... norm act conv, join; the first unit begins activated."""
        ops: Ops = branch[:1]
        for conv in branch[1:]:
            ops += (NormAt(conv.c_in), ActAt(), conv)
        weighted = any(not hasattr(op, "c_out") or isinstance(op, ConvShape) for op in shortcut or ())
        return Unit(
            before=() if first else (NormAt(span(branch).c_in), ActAt()),
            branch=ops,
            shortcut=shortcut,
            after=(),
            shortcut_reads_activated=weighted and self.projections_read == "activated",
        )

    def before_head(self, channels: int) -> Ops:
        """The activation that the last sum still needs."""
        return (NormAt(channels), ActAt())


def _with_norm(op: object) -> tuple:
    return (op, NormAt(op.c_out)) if isinstance(op, ConvShape) and op.normed else (op,)
