"""Models recovered from TensorFlow's own graphs: what SavedModels hold where Keras left no configuration.

`definitions` reads a GraphDef and its function library, `frames` turns TensorFlow 1's loops into functions, `walking`
evaluates a function in one of two ways: `running` with NumPy arrays (the oracle of this route), `translating` with
neutral values. `loops` finds the recurrent layer in a loop by running its body once, `build` makes the model. No code
of the model's is run but the operators of `kernels`, and TensorFlow is not needed.
"""
