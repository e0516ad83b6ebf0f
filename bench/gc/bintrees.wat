;; Binary trees (the benchmarks game): one tree that lives, many that do not. Traps if a sum is wrong.
(module
  (type $tree (struct (field $left (ref null $tree)) (field $right (ref null $tree))))
  (memory (export "memory") 0)
  (func $make (param $depth i32) (result (ref $tree))
    (if (result (ref $tree)) (local.get $depth)
      (then
        (struct.new $tree
          (call $make (i32.sub (local.get $depth) (i32.const 1)))
          (call $make (i32.sub (local.get $depth) (i32.const 1)))))
      (else (struct.new_default $tree))))
  (func $check (param $t (ref $tree)) (result i32)
    (local $left (ref null $tree))
    (local.set $left (struct.get $tree $left (local.get $t)))
    (if (result i32) (ref.is_null (local.get $left))
      (then (i32.const 1))
      (else
        (i32.add (i32.const 1)
          (i32.add (call $check (ref.as_non_null (local.get $left)))
                   (call $check (ref.as_non_null (struct.get $tree $right (local.get $t)))))))))
  (func (export "_start")
    (local $long (ref $tree)) (local $depth i32) (local $i i32) (local $n i32) (local $sum i32)
    (local.set $long (call $make (i32.const 18)))
    (local.set $depth (i32.const 4))
    (loop $depths
      (local.set $n (i32.shl (i32.const 1) (i32.sub (i32.const 22) (local.get $depth))))
      (local.set $i (local.get $n))
      (local.set $sum (i32.const 0))
      (loop $trees
        (local.set $sum (i32.add (local.get $sum) (call $check (call $make (local.get $depth)))))
        (br_if $trees (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (if (i32.ne (local.get $sum)
                  (i32.mul (local.get $n) (i32.sub (i32.shl (i32.const 2) (local.get $depth)) (i32.const 1))))
        (then unreachable))
      (br_if $depths (i32.le_u (local.tee $depth (i32.add (local.get $depth) (i32.const 4))) (i32.const 18))))
    (if (i32.ne (call $check (local.get $long)) (i32.const 524287)) (then unreachable))))
