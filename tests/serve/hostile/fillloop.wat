;; Fills and copies 30 MB at a time.
(module
  (type $a (array (mut i8)))
  (memory (export "memory") 1)
  (func (export "_start") (local (ref $a)) (local.set 0 (array.new $a (i32.const 3) (i32.const 30000000))) (loop $l (array.fill $a (local.get 0) (i32.const 0) (i32.const 9) (i32.const 30000000)) (array.copy $a $a (local.get 0) (i32.const 1) (local.get 0) (i32.const 0) (i32.const 29999999)) (br $l))))
