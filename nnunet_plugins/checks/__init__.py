"""The checks of a raw dataset as tests: `pytest --pyargs nnunet_plugins.checks --dataset DIR`."""
