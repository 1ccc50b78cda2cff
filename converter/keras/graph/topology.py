"""Sequential, Functional and nested models -> one flat graph. Masks and states become ordinary edges here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from converter.errors import ConversionError, InvalidModel, Unsupported, clean, formed
from converter.keras.architecture.parse import references
from converter.keras.building.graph import Graph, Tensor, refuse_large
from converter.keras.building.ops import FLOATS, Ops
from converter.keras.eras.switches import Era
from converter.keras.graph.given_inputs import given_inputs, masked_refs
from converter.keras.graph.implied import implied_shape
from converter.keras.graph.ordering import execution_order
from converter.keras.graph.partial_models import placed
from converter.keras.graph.traits import acts_if_asked, trainable_values
from converter.keras.layer_type import NO_EFFECT
from converter.keras.shared.constants import as_tensors
from converter.keras.shared.masks import passed_mask, refuse_lost
from converter.keras.spec import ALL, Bound, Call, CallSpec, Keywords, LayerSpec, ModelSpec, Opaque, Ref, flatten
from converter.model import LayerInfo, Value
from converter.model.sizes import OPEN, Sizes

Outputs = dict[tuple[str, int], tuple[Tensor, ...]]


@dataclass
class Topology:
    """Builds a graph from a parsed, bound model.

    Attributes:
        fixed_batch: keeps the batch size of the file (stateful models).
        sizes: sizes of the inputs that the user fixes.
        wanted: what the calls that a model's `wanted` names gave, by the path of their layer.
        stands_for: the layers that a nested model, or an input of one, stands for where another layer reads it.
    """

    graph: Graph
    era: Era
    fixed_batch: bool
    sizes: Sizes = OPEN
    wanted: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)
    stands_for: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def inputs(self, model: ModelSpec, bound: Bound) -> dict[str, Tensor]:
        """Model inputs, one for each InputLayer, by layer name."""
        made = {}
        for ref in model.inputs:
            layer = next(layer for layer in model.layers if layer.name == ref.layer)
            made[ref.layer] = Tensor(self._input(layer, model, bound))
        return made

    def _input(self, layer: LayerSpec, model: ModelSpec, bound: Bound) -> Value:
        config: Any = layer.config
        if layer.class_name != "InputLayer":
            hint = "build the model on tensors of Input() and save it again"
            raise Unsupported("a model input that is no InputLayer", where=f"layer {clean(layer.name)!r}", hint=hint)
        if config.sparse or config.ragged:
            raise Unsupported("sparse and ragged inputs cannot be converted", where=f"layer {clean(layer.name)!r}")
        shape = config.batch_input_shape
        if shape is None:
            shape = implied_shape(model, bound)
        if not shape or any(n is not None and n < 1 for n in shape):
            raise InvalidModel(f"bad input shape {shape}", where=f"layer {clean(layer.name)!r}")
        self.graph.fixed_inputs |= shape[0] is not None
        sizes = self.sizes.of(layer.name, tuple(shape), self.fixed_batch)
        refuse_large(sizes)
        return Value(self.graph.unique(layer.name), sizes, config.compute_dtype or "float32")

    def run(self, model: ModelSpec, bound: Bound, inputs: Mapping[str, Tensor], path: str) -> list[tuple[Tensor, ...]]:
        """Inline a model called on `inputs` (by InputLayer name) and give the tensors of each of its outputs."""
        specs = {layer.name: layer for layer in model.layers}
        done: Outputs = {(name, 0): (tensor,) for name, tensor in inputs.items()}
        sequence = [(layer, node, model.calls[layer][node]) for layer, node in execution_order(model, done)]
        last_read = {ref: place for place, (_, _, call) in enumerate(sequence) for ref in references(call)}
        outer = inputs if path else {}  # who reads these in the model around this one is not known here
        for place, (layer, node, call) in enumerate(sequence):
            spec = specs[layer]
            where = f"{path}{layer}"
            try:
                if isinstance(spec.config, ModelSpec) and call.kwargs.get("mask") is not None:
                    read = masked_refs(call, self.era)
                    self._refuse_left_mask([r for r in read if last_read[r] > place or r.layer in outer], done)
                self._connect(spec, call, path)
                done[layer, node] = self._call(spec, call, bound.children[layer], done, where)
                self._note_connections(where, call, path)
            except ConversionError as problem:
                raise placed(problem, model, layer, spec.written_as, outermost=not path) from None
        self.wanted |= {f"{path}{ref.layer}": done[ref.layer, ref.node] for ref in model.wanted}
        return [done[ref.layer, ref.node] if ref.tensor == ALL else (pick(done, ref),) for ref in model.outputs]

    def _connect(self, spec: LayerSpec, call: CallSpec, path: str) -> None:
        """Note which layers a nested model that is called, and its inputs, stand for."""
        if isinstance(spec.config, ModelSpec):
            inside, read = f"{path}{spec.name}/", [f"{path}{ref.layer}" for ref in references(call)]
            for k, ref in enumerate(spec.config.inputs):
                one = [read[k]] if len(read) == len(spec.config.inputs) else read
                self.stands_for.setdefault(f"{inside}{ref.layer}", tuple(one))
            made = tuple(f"{inside}{ref.layer}" for ref in spec.config.outputs)
            self.stands_for.setdefault(f"{path}{spec.name}", made)

    def _note_connections(self, where: str, call: CallSpec, path: str) -> None:
        info = self.graph.layers.get(where)
        if info is not None and not info.reads:
            read = [f"{path}{ref.layer}" for ref in references(call)]
            self.graph.layers[where] = replace(info, reads=tuple(dict.fromkeys(self._resolved(read))))

    def _resolved(self, paths: Sequence[str]) -> Iterator[str]:
        """The layers themselves in place of nested models and their inputs."""
        for path in paths:
            inner = self.stands_for.get(path)
            yield from (path,) if inner is None or path in inner else self._resolved(inner)

    def _refuse_left_mask(self, tensors: list[Ref], done: Outputs) -> None:
        """Keras hangs the mask= of a nested model on the tensor itself, where whoever reads it later finds it.

        Raises:
            Unsupported: one of `tensors`, which are read elsewhere, gets a mask so.
        """
        for ref in tensors:
            if not self.era.switch("own_masks_written") or pick(done, ref).mask is None:
                raise Unsupported("is called with mask= on a tensor that is read elsewhere, and Keras leaves it there")

    def _call(self, spec: LayerSpec, call: CallSpec, bound: Bound, done: Outputs, path: str) -> tuple[Tensor, ...]:
        args = tuple(resolve(item, done) for item in call.args)
        if args and (spec.row is None or spec.row.takes != "operands"):
            args = (as_tensors(Ops(self.graph, path), args[0]), *args[1:])
        kwargs = {k: resolve(v, done) for k, v in call.kwargs.items() if k != "training"}
        if call.kwargs.get("training") is True and acts_if_asked(spec, self.era):
            raise Unsupported("is called with training=True: its output is random or depends on the batch")
        return self.apply(spec, args, kwargs, bound, path)

    def apply(
        self, spec: LayerSpec, args: tuple[Any, ...], kwargs: Mapping[str, Any], bound: Bound, path: str
    ) -> tuple[Tensor, ...]:
        """Call one layer or nested model on tensors."""
        if isinstance(spec.config, Opaque):
            raise spec.config.problem
        count = len(self.graph.nodes)
        if isinstance(spec.config, ModelSpec):
            outputs = self._nested(spec.config, args, kwargs, bound, path)
        else:
            with formed("arguments, arrays or inputs"):
                outputs = self._leaf(spec, args, kwargs, bound, path)
        if path not in self.graph.layers and spec.row is not None:
            effect = NO_EFFECT if spec.row.note == NO_EFFECT and len(self.graph.nodes) == count else ""
            shapes = tuple(t.shape for t in outputs)
            weights = tuple(weight for weight in bound.all() if weight.dtype != "string")
            trained = trainable_values(spec, bound, self.era)
            self.graph.layers[path] = LayerInfo(path, spec.written_as, shapes, weights, effect, trained)
        return outputs

    def _nested(
        self, model: ModelSpec, args: tuple[Any, ...], kwargs: Mapping[str, Any], bound: Bound, path: str
    ) -> tuple[Tensor, ...]:
        called = args[0] if len(args) == 1 else list(args) or kwargs.get("inputs")
        given = given_inputs(model, called, kwargs.get("mask"), self.era)
        specs = {layer.name: layer for layer in model.layers}
        names = [ref.layer for ref in model.inputs]
        inputs = {
            name: self._conformed(tensor, specs[name].config, path) for name, tensor in zip(names, given, strict=True)
        }
        outputs = tuple(t for tensors in self.run(model, bound, inputs, f"{path}/") for t in tensors)
        refuse_lost(self.era, [*given, *outputs], "enters or leaves a nested model")
        return outputs

    def _leaf(
        self, spec: LayerSpec, args: tuple[Any, ...], kwargs: Mapping[str, Any], bound: Bound, path: str
    ) -> tuple[Tensor, ...]:
        row = spec.row
        assert row is not None
        if row.joins_models and spec.children:
            args = ([t for t in self._branches(spec, flatten(args), bound, path)],)
        if row.takes != "text" and any(t.dtype == "string" for t in flatten([*args, *kwargs.values()])):
            raise Unsupported("is called on text")
        config: Any = spec.config
        dtype = None if row.takes == "indices" else config.compute_dtype
        given = flatten([*args, *kwargs.values()])
        floats = row.takes == "floats" and self.era.switch("integers_become_floats")
        numbers = {id(t) for t in flatten(args)} if floats else set()
        if numbers and all(t.dtype not in FLOATS for t in flatten(args)):
            dtype = dtype or "float32"
        cast = {id(t): self._cast(t, dtype, path) for t in given if t.dtype in FLOATS or id(t) in numbers}
        keywords = Keywords(swap(dict(kwargs), cast))
        call = Call(spec, path, swap(args, cast), keywords, bound, self.era, self.graph, self.apply)
        outputs = row.call(call)
        if row.masking != "own":
            mask = passed_mask(call) if row.masking == "pass" else None
            outputs = tuple(Tensor(t.value, mask) for t in outputs)
        carries = any(t.mask is not None for t in call.tensors)  # Keras 3 writes that out as mask=, used or not
        if left := [name for name in keywords.overlooked() if name != "mask" or not carries]:
            raise Unsupported(f"is called with {left[0]}=, which this program does not know of this layer")
        return outputs

    def _branches(self, merge: LayerSpec, given: list[Tensor], bound: Bound, path: str) -> list[Tensor]:
        """Outputs of the models inside a Keras 1 Merge, each on as many of the tensors as it has inputs."""
        outputs: list[Tensor] = []
        for key, branch in merge.children.items():
            count = len(branch.config.inputs) if isinstance(branch.config, ModelSpec) else 1
            taken, given = given[:count], given[count:]
            outputs += self.apply(branch, tuple(taken), {}, bound.children[key], f"{path}/{branch.name}")
        return outputs

    def _conformed(self, tensor: Tensor, config: Any, path: str) -> Tensor:
        """An input of a nested model in the type of its InputLayer, with a last axis of 1 more or less if need be."""
        wanted, ops, value = config.batch_input_shape, Ops(self.graph, path), tensor.value
        if wanted and len(value.shape) == len(wanted) + 1 and value.shape[-1] == 1:
            value = ops.squeeze(value, -1)
        elif wanted and len(value.shape) == len(wanted) - 1 and wanted[-1] == 1:
            value = ops.expand_dims(value, -1)
        made = self._cast(Tensor(value, tensor.mask), config.compute_dtype, path)
        if made.value is not tensor.value and self.era.switch("conforming_drops_masks"):
            return Tensor(made.value)
        return made

    def _cast(self, tensor: Tensor, dtype: str | None, path: str) -> Tensor:
        if dtype is None or tensor.dtype == dtype or dtype not in FLOATS:
            return tensor
        return Tensor(Ops(self.graph, path).cast(tensor.value, dtype), tensor.mask)


def pick(done: Outputs, ref: Ref) -> Tensor:
    """One output of a call.

    Raises:
        InvalidModel: the call has fewer outputs.
    """
    outputs = done[ref.layer, ref.node]
    if ref.tensor >= len(outputs):
        raise InvalidModel(f"layer {clean(ref.layer)!r} has {len(outputs)} outputs, number {ref.tensor} is asked for")
    return outputs[ref.tensor]


def resolve(structure: Any, done: Outputs) -> Any:
    """References replaced by the tensors they name."""
    if isinstance(structure, Ref):
        return pick(done, structure)
    if isinstance(structure, Mapping):
        return {k: resolve(v, done) for k, v in structure.items()}
    return [resolve(item, done) for item in structure] if isinstance(structure, list) else structure


def swap(structure: Any, tensors: Mapping[int, Tensor]) -> Any:
    """Tensors replaced by their casts."""
    if isinstance(structure, Tensor):
        return tensors.get(id(structure), structure)
    if isinstance(structure, Mapping):
        return {k: swap(v, tensors) for k, v in structure.items()}
    if isinstance(structure, list | tuple):
        return type(structure)(swap(item, tensors) for item in structure)
    return structure
