"""The model behind the local Triton: llama.cpp with a GGUF, under the tensor names of TensorRT-LLM's backend.

For machines without a GPU: tests, `npm start -- --gold triton`. The models in ../repository are thin; what they share
stands here. A deployment with a GPU uses none of it.
"""
