"""The one decorator of all kernels, and the one hint they give the processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec

import numba
from llvmlite import ir
from numba.extending import intrinsic

__all__ = ("inlined", "kernel", "prefetch")

P = ParamSpec("P")


def kernel(function: Callable[P, None]) -> Callable[P, None]:
    """Compile lazily, without the GIL, cached on disk where that is possible.

    No signatures (they would compile at import), no fastmath (two owners must get the same bits), no
    ``parallel=True`` (it aborts the process when two Python threads enter it).
    """
    compiled: Callable[P, None] = _compile(function)
    return compiled


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a step of a kernel, to be inlined by LLVM."""
    return _compile(function, forceinline=True)


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    options |= {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        # No cache directory can be written (a read-only install and home): compile in every process.
        return numba.njit(**options)(function)


def _prefetch(typing_context, array, index, write):  # type: ignore[no-untyped-def]
    """Ask for the cache line of ``array[index]``, which may lie behind the end: a hint reads nothing."""
    signature = numba.types.void(array, index, write)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        hint = builder.module.declare_intrinsic(
            "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        )
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        write_flag = ir.Constant(number, int(signature.args[2].literal_value))
        builder.call(hint, [address, write_flag, ir.Constant(number, 3), ir.Constant(number, 1)])
        return context.get_dummy_value()

    return signature, generate


def _no_prefetch(array: object, index: object, write: object) -> None:
    """Stand in for the hint where nothing is compiled."""


prefetch = _no_prefetch if numba.config.DISABLE_JIT else intrinsic(prefer_literal=True)(_prefetch)
