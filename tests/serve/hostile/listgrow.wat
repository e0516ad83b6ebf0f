;; Makes objects that all stay, until the memory is full.
(module
  (type $s (struct (field (mut (ref null $s)))))
  (memory (export "memory") 1)
  (func (export "_start") (local (ref null $s)) (loop $l (local.set 0 (struct.new $s (local.get 0))) (br $l))))
