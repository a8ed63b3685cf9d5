"""Files for other tools: the model as ONNX or PyTorch program, the gallery as Parquet or NumPy arrays."""
