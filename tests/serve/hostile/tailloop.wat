;; Calls itself at its end without end.
(module
  (memory (export "memory") 1)
  (func $f (param i64 i64) (return_call $f (local.get 1) (local.get 0)))
  (func (export "_start") (call $f (i64.const 1) (i64.const 2))))
