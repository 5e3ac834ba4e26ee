# noseam on the CPU:
#   docker build --tag noseam:0.1.0 .
# With CUDA, whose PyTorch takes gigabytes:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=https://pypi.org/simple --tag noseam:0.1.0-cuda .
FROM python:3.11-slim-bookworm

# GDAL's wheel takes expat from the system, and kernels may take OpenMP. On CUDA, Triton and PyTorch's compiler need g++.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ libexpat1 libgomp1 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/noseam
COPY constraints.txt pyproject.toml setup.cfg README.md LICENSE cli.py ./
COPY commands/ commands/
COPY noseam/ noseam/
COPY segment/ segment/
COPY tiler/ tiler/

# From here PyTorch comes without CUDA; PyPI's own has it.
ARG PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN pip install -c constraints.txt ".[cluster,photo,place,vector]"

# Converted networks, compiled kernels and fetched models are kept here. Any user may write, so that --user takes any number.
ENV NOSEAM_CACHE=/cache/noseam HF_HOME=/cache/huggingface MPLCONFIGDIR=/cache/matplotlib HOME=/tmp USER=noseam
RUN mkdir --mode 1777 /cache
VOLUME /cache

WORKDIR /data
USER 1000:1000
ENTRYPOINT ["noseam"]
CMD ["--help"]
