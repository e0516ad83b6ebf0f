;; Throws through 5,000 frames, without end.
(module
  (tag $e)
  (memory (export "memory") 1)
  (func $r (param i32) (if (i32.eqz (local.get 0)) (then (throw $e))) (call $r (i32.sub (local.get 0) (i32.const 1))))
  (func (export "_start") (loop $l (block $h (try_table (catch $e $h) (call $r (i32.const 5000)))) (br $l))))
