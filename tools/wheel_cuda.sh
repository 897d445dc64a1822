#!/bin/sh
# Put CUDA 12.9's nvcc into the container that Linux wheels are built in (manylinux_2_28, made of AlmaLinux 8).
# PyPI has no nvcc of CUDA 12.
set -eu

case $(uname -m) in
    x86_64) machine=x86_64 ;;
    aarch64) machine=sbsa ;;
    *) exit 0 ;;
esac
curl -fsSL -o /etc/yum.repos.d/cuda.repo \
    "https://developer.download.nvidia.com/compute/cuda/repos/rhel8/$machine/cuda-rhel8.repo"
dnf install -y -q cuda-nvcc-12-9 cuda-cudart-devel-12-9 cuda-cccl-12-9
/usr/local/cuda-12.9/bin/nvcc --version
