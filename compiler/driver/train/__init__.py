"""Training of a generated model on text or digits; `run.py` has the order of things.

A model here is any `torch.nn.Module` that keeps the contract of generated modules: `model(ids, state) -> (logits, state)` with
ids [batch, time] and logits [batch, time, 256], `model.step(ids_t, state)` for one step. Imported only where something is
trained, because everything here needs torch.
"""
