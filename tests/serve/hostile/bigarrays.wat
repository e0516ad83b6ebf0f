;; Makes large arrays without end.
(module
  (type $a (array (mut i64)))
  (memory (export "memory") 1)
  (func (export "_start") (loop $l (drop (array.new $a (i64.const 3) (i32.const 1000000))) (br $l))))
