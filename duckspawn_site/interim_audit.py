from importlib import import_module
from importlib.util import find_spec


def record(action, object, *, actor, detail):
    if find_spec("projects.audit"):
        import_module("projects.audit").record(action, object, actor=actor, detail=detail)
