;; Throws and catches without end.
(module
  (tag $e (param i64))
  (memory (export "memory") 1)
  (func (export "_start") (loop $l (block $h (result i64) (try_table (result i64) (catch $e $h) (throw $e (i64.const 5)))) (drop) (br $l))))
