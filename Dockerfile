# The jobs of a study in a container; docs/jobs/cluster.md has the commands, also for Apptainer.
FROM python:3.12-slim-bookworm

# gcc: nnU-Net compiles networks on a GPU. Debian keeps one version per release, so none is pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# PyTorch from PyPI contains CUDA; the host provides the driver.
RUN --mount=type=bind,target=/source,rw \
    pip install --no-cache-dir '/source[study,export,report]'

# Every user of the host can write the caches of matplotlib, the compiler and Snakemake.
ENV HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib TORCHINDUCTOR_CACHE_DIR=/tmp/inductor
USER 1000
WORKDIR /study
ENTRYPOINT ["nnunet-plugins"]
