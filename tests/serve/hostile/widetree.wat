;; Keeps so many objects that no stack of a marker holds them.
(module
  (type $r (array (mut anyref)))
  (memory (export "memory") 1)
  (func (export "_start") (local (ref $r)) (local i32) (local.set 0 (array.new_default $r (i32.const 1500000))) (loop $l (array.set $r (local.get 0) (local.get 1) (array.new_default $r (i32.const 1))) (br_if $l (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 1500000)))) (loop $m (drop (array.new_default $r (i32.const 1000000))) (br $m))))
