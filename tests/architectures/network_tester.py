"""Laws of every public network, in 2D and 3D, on isotropic and anisotropic plans.

A subclass names the network and the options that make it small.
"""

from __future__ import annotations

import functools
import io
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from .conftest import arguments

EVEN = {2: (8, 16), 3: (4, 8, 16)}


def distance(network: nn.Module, x: Tensor) -> Tensor:
    """A loss that depends on every output: the mean squared distance of each from fixed noise."""
    generator = torch.Generator().manual_seed(1)
    outputs = network(x)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    far = [(y.float() - torch.rand(y.shape, generator=generator)).square().mean() for y in outputs]
    return torch.stack(far).sum()


@functools.cache
def shared(tester: type[NetworkTester], plan: tuple[int, str]) -> nn.Module:
    """A network in evaluation mode for tests that change neither weights nor mode."""
    return tester().make(plan).eval()


class NetworkTester:
    """Subclass and name the network; pytest runs every test below on it."""

    network: ClassVar[type[nn.Module]]
    #: Arguments that make it small; plans carry them, so they are plain data.
    options: ClassVar[dict[str, Any]] = {}
    #: Factor of the patch size that its coarsest map requires.
    scale: ClassVar[int] = 1
    #: Whether it takes sizes that are not a multiple of its strides.
    padded: ClassVar[bool] = True
    #: Reason why tracing cannot export it; empty if it can.
    not_traced: ClassVar[str] = ""

    @pytest.fixture(
        params=[(2, "isotropic"), (3, "isotropic"), (3, "anisotropic")],
        ids=lambda p: f"{p[0]}d-{p[1]}",
    )
    def plan(self, request: pytest.FixtureRequest) -> tuple[int, str]:
        if request.param[0] not in self.network.ranks:
            pytest.skip(f"{self.network.__name__} supports {self.network.ranks} axes only")
        return request.param

    def size(self, rank: int) -> tuple[int, ...]:
        return tuple(self.scale * n for n in EVEN[rank])

    def make(
        self, plan: tuple[int, str], size: tuple[int, ...] | None = None, **changes: Any
    ) -> nn.Module:
        rank, spacing = plan
        torch.manual_seed(0)
        kwargs = arguments(rank, isotropic=spacing == "isotropic") | self.options | changes
        if self.network.takes_input_size:
            kwargs["input_size"] = list(size or self.size(rank))
        return self.network(**kwargs)

    def sample(self, size: tuple[int, ...], batch: int = 2) -> Tensor:
        return torch.randn(batch, 2, *size, generator=torch.Generator().manual_seed(2))

    @pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
    @pytest.mark.parametrize("odd", [False, True], ids=["even", "odd"])
    def test_outputs_are_as_declared(self, plan, odd: bool, residual: bool) -> None:
        size = self.size(plan[0])
        if odd and not self.padded:
            pytest.skip(f"{self.network.__name__} takes multiples of its strides only")
        if odd:
            size = (*(n + 1 for n in size[:-1]), size[-1] - 5)
        kind = {"n_blocks_per_stage": [1, 2, 2], "n_conv_per_stage": None} if residual else {}
        network = self.make(plan, size, **kind)
        network.check_input_size(size)
        outputs = network(self.sample(size))
        assert isinstance(outputs, list)
        assert len(outputs) == len(network.outputs)
        assert network.outputs[0].stride == (1,) * plan[0]
        for y, declared in zip(outputs, network.outputs, strict=True):
            channels = 1 if declared.kind == "attention" else 3
            expected = (-(-n // s) for n, s in zip(size, declared.stride, strict=True))
            assert y.shape == (2, channels, *expected)
            if declared.kind == "attention":
                assert 0 <= y.min() <= y.max() <= 1

    def test_without_deep_supervision_it_returns_the_first_output(self, plan) -> None:
        x = self.sample(self.size(plan[0]))
        network, plain = self.make(plan).eval(), self.make(plan, deep_supervision=False).eval()
        assert list(network.state_dict()) == list(plain.state_dict())
        plain.load_state_dict(network.state_dict())
        with torch.no_grad():
            first = network(x)[0]
            assert_close(plain(x), first)
            network.decoder.deep_supervision = False  # as nnU-Net switches it
            assert_close(network(x), first)
            assert network.train()(x).shape == first.shape

    def test_samples_are_independent_at_prediction(self, plan) -> None:
        network = shared(type(self), plan)
        x = self.sample(self.size(plan[0]))
        with torch.no_grad():
            together, first, second = network(x), network(x[:1]), network(x[1:])
        for y, a, b in zip(together, first, second, strict=True):
            assert_close(y, torch.cat([a, b]), rtol=1e-3, atol=1e-4)

    def test_every_parameter_learns_within_three_steps_of_one_sample(self, plan) -> None:
        network = self.make(plan).train()
        network.apply(network.initialize)
        before = {name: p.detach().clone() for name, p in network.named_parameters()}
        optimizer = torch.optim.SGD(network.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            distance(network, self.sample(self.size(plan[0]), batch=1)).backward()
            assert all(p.grad is not None for p in network.parameters())
            optimizer.step()
        still = [name for name, p in network.named_parameters() if torch.equal(p, before[name])]
        # A bias before a normalisation and a key bias before a softmax have no effect: only those may not learn.
        assert not [name for name in still if not name.endswith(".bias")]

    def test_saved_weights_reproduce_the_outputs(self, plan) -> None:
        network, other = self.make(plan).eval(), self.make(plan).eval()
        other.apply(other.initialize)
        file = io.BytesIO()
        torch.save(network.state_dict(), file)
        file.seek(0)
        other.load_state_dict(torch.load(file, weights_only=True))
        x = self.sample(self.size(plan[0]), batch=1)
        for a, b in zip(network(x), other(x), strict=True):
            assert_close(a, b)

    def test_feature_maps_are_counted(self, plan) -> None:
        # Patches are padded: the smallest sizes would count as much as larger ones.
        small, large = (tuple(k * n for n in self.size(plan[0])) for k in (2, 4))
        counts = [self.make(plan, n).compute_conv_feature_map_size(n) for n in (small, large)]
        assert counts[0] > 4 * torch.Size(small).numel()
        assert counts[1] / counts[0] > 0.9 * 2 ** (plan[0] - 1)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
    def test_mixed_precision_is_finite(self, plan, dtype: torch.dtype) -> None:
        network = self.make(plan).train()
        network.apply(network.initialize)
        # oneDNN's bf16 weight gradient of a 3D convolution reads uninitialised memory (torch 2.15, CPU).
        with torch.backends.mkldnn.flags(enabled=False):
            with torch.autocast("cpu", dtype):
                loss = distance(network, self.sample(self.size(plan[0])))
            loss.backward()
        assert torch.isfinite(loss)
        assert all(torch.isfinite(p.grad).all() for p in network.parameters())

    def test_inputs_at_the_limit_of_fp16_are_finite(self, plan) -> None:
        network = self.make(plan).train()
        x = self.sample(self.size(plan[0]))
        with torch.autocast("cpu", torch.bfloat16):
            outputs = network(x / x.abs().max() * 6e4)
        assert all(torch.isfinite(y).all() for y in outputs)

    @pytest.mark.integration
    def test_it_compiles_to_one_graph(self, plan) -> None:
        network = self.make(plan).eval()
        x = self.sample(self.size(plan[0]), batch=1)
        # With the backward graph in 2D only: capturing it takes half a minute for some networks in 3D.
        backend = "aot_eager" if plan[0] == 2 else "eager"
        compiled = torch.compile(network, backend=backend, fullgraph=True)
        outputs = compiled(x)
        for a, b in zip(outputs, network(x), strict=True):
            assert_close(a, b, rtol=1e-3, atol=1e-4)
        outputs[0].mean().backward()
        network.decoder.deep_supervision = False
        assert_close(compiled(x), network(x), rtol=1e-3, atol=1e-4)
        torch.compiler.reset()

    @pytest.mark.integration
    def test_a_trace_reproduces_the_network(self, plan) -> None:
        if self.not_traced:
            pytest.skip(self.not_traced)
        network = self.make(plan, deep_supervision=False).eval()
        x, other = self.sample(self.size(plan[0]), batch=1), torch.rand(1, 2, *self.size(plan[0]))
        with torch.no_grad():
            traced = torch.jit.trace(network, x)
            file = io.BytesIO()
            torch.jit.save(traced, file)
            file.seek(0)
            assert_close(torch.jit.load(file)(other), network(other), rtol=1e-3, atol=1e-4)

    def test_a_patch_too_small_is_an_error_before_training(self, plan) -> None:
        with pytest.raises(ValueError, match=self.network.__name__):
            shared(type(self), plan).check_input_size((1,) * plan[0])

    @pytest.mark.parametrize("conv_op", [nn.Conv1d, nn.Conv2d, nn.Conv3d])
    def test_a_plan_is_built_or_refused_by_its_number_of_axes(
        self, conv_op: type[nn.Module]
    ) -> None:
        rank = int(conv_op.__name__[-2])
        if rank in self.network.ranks:
            assert shared(type(self), (rank, "isotropic"))
            return
        who = self.network.__name__
        with pytest.raises(ValueError, match=f"{who}: the plan is {rank}D; this network is [23]D"):
            self.network(**arguments(2, conv_op=conv_op) | self.options)

    def test_its_name_is_unique(self) -> None:
        # If nnU-Net does not find our class, it uses one of dynamic-network-architectures of the same name.
        import dynamic_network_architectures.architectures as theirs
        from batchgenerators.utilities.file_and_folder_operations import join
        from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

        folder = join(*theirs.__path__)
        found = recursive_find_python_class(folder, self.network.__name__, theirs.__name__)
        assert found is None
