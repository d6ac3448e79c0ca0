"""The trainer, `python -m nanocore.train RUN`; called as a function it is `nanocore.api.training.train`."""

from nanocore.api.callable_module import make_callable

make_callable(__name__, "nanocore.api.training:train")
