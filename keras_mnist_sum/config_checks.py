"""Whether the fields of a config fit each other."""

from typing import TYPE_CHECKING

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.task import check_names

if TYPE_CHECKING:
    from keras_mnist_sum.config import Config


def check_together(config: "Config") -> None:
    """Refuses fields that contradict each other; each alone is as it must be.

    Raises:
        InputError: If two do.
    """
    default = type(config)
    named = (config.outputs, config.difference)
    if config.custom_task and named != (default.outputs, default.difference):
        raise InputError(
            "A task of your own says what its outputs are. "
            f"Received: custom_task={config.custom_task!r}, "
            f"outputs={shown(config.outputs)}, difference={config.difference!r}"
        )
    check_names(config.outputs)
    outputs = config.custom_task or config.outputs
    supervised = config.supervised
    if not set(supervised) <= set(outputs) or not supervised:
        raise InputError(
            f"`supervise` must name some of {','.join(outputs)}. "
            f"Received: supervise={shown(','.join(supervised))}"
        )
    alone = (config.head, config.digit_loss) == ("exact", "cross_entropy")
    if "digit" not in supervised and not alone:
        raise InputError(
            "Without labels of the digit only the head 'exact' says what "
            "the digit is, and a loss of its own needs its labels. "
            f"Received: supervise={shown(','.join(supervised))}, "
            f"head={config.head!r}, digit_loss={config.digit_loss!r}"
        )
    if not set(config.loss_weights or ()) <= set(supervised):
        raise InputError(
            "`loss_weights` must name outputs whose labels are used in "
            f"training: some of {','.join(supervised)}. "
            f"Received: loss_weights={shown(config.loss_weights)}"
        )
