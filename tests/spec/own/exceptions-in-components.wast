;; Exceptions and components: one that reaches a lifted function's boundary is a trap, there and for whoever called through it.

(component $callee
  (core module $m
    (tag $e (param i32))
    (func $deep (param i32)
      (if (i32.eqz (local.get 0)) (then (throw $e (i32.const 1))))
      (call $deep (i32.sub (local.get 0) (i32.const 1))))
    (func (export "fail") (param i32) (result i32) (call $deep (local.get 0)) (i32.const 1))
    (func (export "fine") (param i32) (result i32)
      (block $h (result i32) (try_table (catch $e $h) (call $deep (local.get 0))) (unreachable))))
  (core instance $i (instantiate $m))
  (func (export "fail") (param "n" u32) (result u32) (canon lift (core func $i "fail")))
  (func (export "fine") (param "n" u32) (result u32) (canon lift (core func $i "fine"))))
(assert_return (invoke "fine" (u32.const 100)) (u32.const 1))
(assert_trap (invoke "fail" (u32.const 100)) "uncaught exception")

;; Through a call between components: catch_all of the caller's does not see it.
(component
  (component $callee
    (core module $m
      (tag $e)
      (memory (export "m") 1)
      (func (export "fail") (param i32) (result i32) (throw $e))
      (func (export "fine") (param i32) (result i32)
        (block $h (try_table (catch_all $h) (throw $e))) (i32.add (local.get 0) (i32.const 1))))
    (core instance $i (instantiate $m))
    (func (export "fail") (param "n" u32) (result u32) (canon lift (core func $i "fail")))
    (func (export "fine") (param "n" u32) (result u32) (canon lift (core func $i "fine"))))
  (instance $callee (instantiate $callee))
  (component $caller
  (import "fail" (func $callee-fail (param "n" u32) (result u32)))
  (import "fine" (func $callee-fine (param "n" u32) (result u32)))
  (core func $fail (canon lower (func $callee-fail)))
  (core func $fine (canon lower (func $callee-fine)))
  (core module $m
    (import "callee" "fail" (func $fail (param i32) (result i32)))
    (import "callee" "fine" (func $fine (param i32) (result i32)))
    (tag $mine (param i32))
    (memory 1)
    (func $inner (param i32) (throw $mine (call $fine (local.get 0))))
    (func (export "around") (param i32) (result i32)   ;; ours, with a nested call in between
      (block $h (result i32) (try_table (catch $mine $h) (call $inner (local.get 0))) (unreachable)))
    (func (export "not-caught") (param i32) (result i32)
      (block $h (try_table (catch_all $h) (drop (call $fail (local.get 0))))) (i32.const 9))
    (func (export "tail") (param i32) (result i32) (return_call $fine (local.get 0))))

  (core instance $i (instantiate $m (with "callee" (instance (export "fail" (func $fail)) (export "fine" (func $fine))))))
  (func (export "around") (param "n" u32) (result u32) (canon lift (core func $i "around")))
  (func (export "tail") (param "n" u32) (result u32) (canon lift (core func $i "tail")))
  (func (export "not-caught") (param "n" u32) (result u32) (canon lift (core func $i "not-caught"))))
  (instance $caller (instantiate $caller (with "fail" (func $callee "fail")) (with "fine" (func $callee "fine"))))
  (func (export "around") (alias export $caller "around"))
  (func (export "tail") (alias export $caller "tail"))
  (func (export "not-caught") (alias export $caller "not-caught")))
(assert_return (invoke "around" (u32.const 7)) (u32.const 8))
(assert_return (invoke "tail" (u32.const 7)) (u32.const 8))
(assert_trap (invoke "not-caught" (u32.const 7)) "uncaught exception")

;; Who throws and who catches must agree on the payload's type: a subtype will not do.
(assert_invalid
  (component
    (core module $a
      (type $super (sub (func (param structref))))
      (type $sub (sub $super (func (param anyref))))
      (tag (export "t") (type $sub)))
    (core module $b
      (type $super (sub (func (param structref))))
      (import "a" "t" (tag (type $super))))
    (core instance $a (instantiate $a))
    (core instance (instantiate $b (with "a" (instance $a)))))
  "expected: (func (param structref))")
(assert_invalid
  (component
    (core module $a
      (type $super (sub (func (param structref))))
      (tag (export "t") (type $super)))
    (core module $b
      (type $super (sub (func (param structref))))
      (type $sub (sub $super (func (param anyref))))
      (import "a" "t" (tag (type $sub))))
    (core instance $a (instantiate $a))
    (core instance (instantiate $b (with "a" (instance $a)))))
  "expected: (func (param anyref))")
