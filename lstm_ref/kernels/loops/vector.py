"""The few machine operations the loops are built from, for float32 and float64 alike.

A *buffer* is a pointer to numbers in a row, ``p[n]`` being the n-th. A *vector* is 64 bytes of a
buffer: 16 float32 or 8 float64, one register of AVX-512, two of AVX2. LLVM turns these operations
into whatever the processor has; what they compute, to the last bit, does not depend on it.

Why by hand: a fused multiply-add and the bit pattern of a number have no name in Python, and said
explicitly they give the same bits on every processor, where ``fastmath`` leaves them to chance.

With Numba's JIT switched off (``NUMBA_DISABLE_JIT=1``) a buffer is a place in a NumPy array whose
bounds are watched, and each operation is its plain Python twin from ``plain``, so that a debugger
or a coverage tool can walk through the loops.
"""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: F401  (the plain twins, imported at the end, replace the names above them)

from typing import Annotated, Any

from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from lstm_ref.kernels.geometry import VECTOR_BYTES

Buffer = Annotated[Any, "buffer"]
"""A pointer to float32 or float64 numbers: those of the kernel's dtype."""
Bytes = Annotated[Any, "bytes"]
"""A pointer to unsigned bytes."""
Size = int
"""A count, an index or a code: a 64-bit integer."""
Real = Annotated[Any, "real"]
"""A number of the kernel's dtype."""

loop = njit(error_model="numpy", nogil=True, forceinline=False)
"""Marks what Numba compiles: no exceptions, no GIL, no fastmath.

``forceinline`` is said because a function would have it from its caller otherwise, and all that an
`inlined` one calls would be copied into it.
"""

inlined = njit(error_model="numpy", nogil=True, forceinline=True)
"""The same, for what is called for every vector: the call would cost more than the work."""


def _lanes(dtype: Any) -> int:
    return VECTOR_BYTES // (int(dtype.bitwidth) // 8)


def _vector_at(builder: Any, pointer: Any, index: Any, dtype: Any) -> Any:
    """A pointer to the vector that starts at ``pointer[index]``."""
    start = builder.gep(pointer, [index])
    element = start.type.pointee
    return builder.bitcast(start, ir.VectorType(element, _lanes(dtype)).as_pointer())


@intrinsic
def lanes(typingctx, p):
    """How many numbers make a vector of the buffer p: a constant."""

    def codegen(context, builder, signature, args):
        return context.get_constant(types.intp, _lanes(signature.args[0].dtype))

    return types.intp(p), codegen


@intrinsic
def at(typingctx, p, n):
    """The buffer that starts at p's n-th number."""

    def codegen(context, builder, signature, args):
        return builder.gep(args[0], [args[1]])

    return p(p, types.intp), codegen


@intrinsic(prefer_literal=True)
def stack_vectors(typingctx, p, count):
    """A buffer of ``count`` vectors on the stack, of p's kind of number. ``count`` is a constant.

    Small, and indexed by constants once loops are unrolled, it ends up in registers.
    """
    if not isinstance(count, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        dtype = signature.args[0].dtype
        element = context.get_value_type(dtype)
        with builder.goto_entry_block():
            block = builder.alloca(ir.ArrayType(element, count.literal_value * _lanes(dtype)))
        block.align = VECTOR_BYTES
        return builder.bitcast(block, element.as_pointer())

    return types.CPointer(p.dtype)(p, count), codegen


@intrinsic
def copy_vector(typingctx, target, i, source, j):
    """target[i : i + lanes] = source[j : j + lanes]."""

    def codegen(context, builder, signature, args):
        target, i, source, j = args
        dtype = signature.args[0].dtype
        align = dtype.bitwidth // 8
        value = builder.load(_vector_at(builder, source, j, dtype), align=align)
        builder.store(value, _vector_at(builder, target, i, dtype), align=align)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp), codegen


@intrinsic
def fma_vector(typingctx, total, i, s, p, j):
    """total[i : i + lanes] += s * p[j : j + lanes], rounded once."""

    def codegen(context, builder, signature, args):
        total, i, s, p, j = args
        dtype = signature.args[0].dtype
        align = dtype.bitwidth // 8
        count = _lanes(dtype)
        where = _vector_at(builder, total, i, dtype)
        old = builder.load(where, align=align)
        factor = builder.load(_vector_at(builder, p, j, dtype), align=align)
        undefined = ir.Constant(old.type, ir.Undefined)
        first = builder.insert_element(undefined, s, ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
        same = builder.shuffle_vector(first, undefined, everywhere)
        # llvmlite's builder.fma takes scalars only, so LLVM's intrinsic is declared by name.
        kind = ir.FunctionType(old.type, [old.type] * 3)
        name = f"llvm.fma.v{count}f{dtype.bitwidth}"
        fma = cgutils.get_or_insert_function(builder.module, kind, name)
        builder.store(builder.call(fma, [same, factor, old]), where, align=align)
        return context.get_dummy_value()

    return types.void(total, types.intp, total.dtype, p, types.intp), codegen


@intrinsic
def real(typingctx, x, value):
    """The constant ``value`` as a number of x's kind; a bare Python float would widen float32."""

    def codegen(context, builder, signature, args):
        return context.cast(builder, args[1], signature.args[1], signature.return_type)

    return x(x, value), codegen


@intrinsic
def is_single(typingctx, x):
    """Whether x is a float32: a constant, so that the branch not taken vanishes."""

    def codegen(context, builder, signature, args):
        return context.get_constant(types.boolean, signature.args[0].bitwidth == 32)

    return types.boolean(x), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """a·b + c, rounded once."""

    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return a(a, a, a), codegen


@intrinsic
def copysign(typingctx, magnitude, sign):
    """The magnitude of one number with the sign of another, -0.0 included."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(args[0].type, [args[0].type] * 2)
        function = builder.module.declare_intrinsic("llvm.copysign", [args[0].type], kind)
        return builder.call(function, args)

    return magnitude(magnitude, sign), codegen


@intrinsic
def power_of_two(typingctx, n):
    """2ⁿ for a whole number n, given as a float, in the range of normal exponents.

    The exponent field is written directly: adding 1.5·2^(mantissa bits) + bias leaves n + bias in
    the low bits of the sum, and a shift moves it into place. NaN gives some number, not a trap.
    """

    def codegen(context, builder, signature, args):
        width = signature.args[0].bitwidth
        mantissa, bias = (23, 127) if width == 32 else (52, 1023)
        shifter = ir.Constant(args[0].type, 1.5 * 2**mantissa + bias)
        whole = ir.IntType(width)
        bits = builder.bitcast(builder.fadd(args[0], shifter), whole)
        return builder.bitcast(builder.shl(bits, ir.Constant(whole, mantissa)), args[0].type)

    return n(n), codegen


def arguments_of(kinds: list[Any], places: list[int]) -> Any:
    """What reads arguments, pointers and integers, from a block of 64-bit integers.

    Args:
        kinds: of the arguments.
        places: where in the block each of them is.

    Returns:
        The intrinsic that makes a tuple of them.
    """

    @intrinsic
    def arguments(typingctx, block):
        def codegen(context, builder, signature, args):
            values = [
                builder.load(builder.gep(args[0], [ir.Constant(ir.IntType(64), place)]))
                for place in places
            ]
            passed = [
                builder.inttoptr(value, context.get_value_type(kind))
                if isinstance(kind, types.CPointer)
                else value
                for kind, value in zip(kinds, values, strict=True)
            ]
            return context.make_tuple(builder, signature.return_type, passed)

        return types.Tuple(kinds)(block), codegen

    return arguments


if config.DISABLE_JIT:
    from lstm_ref.kernels.loops.plain import (
        at,
        copy_vector,
        copysign,
        fma,
        fma_vector,
        is_single,
        lanes,
        power_of_two,
        real,
        stack_vectors,
    )
