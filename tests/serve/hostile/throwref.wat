;; Throws the same exception again without end.
(module
  (tag $e (param i64))
  (memory (export "memory") 1)
  (func (export "_start") (local exnref) (loop $l (block $h (result i64 exnref) (try_table (result i64 exnref) (catch_ref $e $h) (if (ref.is_null (local.get 0)) (then (throw $e (i64.const 5)))) (throw_ref (local.get 0)))) (local.set 0) (drop) (br $l))))
