;; The same with more arguments, then fewer.
(module
  (memory (export "memory") 1)
  (func $f (param i64) (return_call $g (local.get 0) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)))
  (func $g (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64) (return_call $f (local.get 9)))
  (func (export "_start") (call $f (i64.const 1))))
