;; Leaves a hole beside every object, then asks for what fits in none.
(module
  (type $a (array (mut i8)))
  (type $r (array (mut (ref null $a))))
  (memory (export "memory") 1)
  (func (export "_start") (local (ref $r)) (local i32) (local.set 0 (array.new_default $r (i32.const 3000))) (loop $l (array.set $r (local.get 0) (local.get 1) (array.new_default $a (i32.const 20000))) (br_if $l (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 3000)))) (loop $m (local.set 1 (i32.const 0)) (loop $l (array.set $r (local.get 0) (local.get 1) (ref.null $a)) (br_if $l (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 2))) (i32.const 3000)))) (drop (array.new_default $a (i32.const 70000000))) (br $m))))
