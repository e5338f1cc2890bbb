// Every mutant of scripts/mutants.py in one binary: QSIM_MUTANT=n makes the n-th mutant's operator or constant
// another. Each stands beside what it replaces, as an operand: `a < qm::m<7> < b` is `a < b`, or `a <= b` where
// mutant 7 is on, with the precedence that it had. What the compiler evaluates is left as it was.
#pragma once

#include <compare>
#include <type_traits>
#include <utility>

namespace qm {

extern int active;
extern unsigned char reached[];

constexpr bool On(int n) {
  if (std::is_constant_evaluated()) return false;
  reached[n] = 1;
  return active == n;
}

template <int N, int kStep, typename T>
constexpr T c(T value) {
  if constexpr (std::is_same_v<T, bool>) return On(N) ? !value : value;
  else return On(N) ? static_cast<T>(value + static_cast<T>(kStep)) : value;
}
// A condition, either way round: De Morgan makes && of || by three of them.
template <int N>
constexpr bool flip(bool value) { return On(N) != value; }

template <int N> struct Binary {};
template <int N> inline constexpr Binary<N> m{};
template <int N, typename T> struct Left { T&& value; };
template <int N, typename T> struct Right { T&& value; };

// clang-format off
#define QM_BINARY(op, other)                                                                          \
  template <int N, typename T> constexpr Left<N, T> operator op(T&& l, Binary<N>) {                   \
    return {std::forward<T>(l)};                                                                      \
  }                                                                                                   \
  template <int N, typename T, typename U> constexpr auto operator op(Left<N, T> l, U&& r) {          \
    if constexpr (std::is_same_v<std::remove_cvref_t<T>, std::strong_ordering>) {                     \
      return QM_ORDERING(op, other);                                                                  \
    } else {                                                                                          \
      using Result = std::remove_cvref_t<decltype(l.value op r)>;                                     \
      return On(N) ? static_cast<Result>(l.value other r) : static_cast<Result>(l.value op r);        \
    }                                                                                                 \
  }
#define QM_ORDERING(op, other) false
QM_BINARY(+, -) QM_BINARY(-, +) QM_BINARY(*, +) QM_BINARY(/, *) QM_BINARY(%, /)
QM_BINARY(<<, >>) QM_BINARY(>>, <<) QM_BINARY(&, |) QM_BINARY(|, &) QM_BINARY(^, &)
#undef QM_ORDERING
#define QM_ORDERING(op, other) On(N) ? l.value other 0 : l.value op 0
QM_BINARY(<, <=) QM_BINARY(<=, <) QM_BINARY(>, >=) QM_BINARY(>=, >) QM_BINARY(==, !=) QM_BINARY(!=, ==)

#define QM_COMPOUND(op, other)                                                                        \
  template <int N, typename U> constexpr Right<N, U> operator op(Binary<N>, U&& r) {                  \
    return {std::forward<U>(r)};                                                                      \
  }                                                                                                   \
  template <int N, typename T, typename U> constexpr T& operator op(T& l, Right<N, U> r) {            \
    if (On(N)) l other r.value; else l op r.value;                                                    \
    return l;                                                                                         \
  }
QM_COMPOUND(+=, -=) QM_COMPOUND(-=, +=) QM_COMPOUND(*=, +=) QM_COMPOUND(/=, *=)
QM_COMPOUND(<<=, >>=) QM_COMPOUND(>>=, <<=) QM_COMPOUND(&=, |=) QM_COMPOUND(|=, &=)

#define QM_UNARY(kind, op, other)                                                                     \
  template <int N> struct kind {};                                                                    \
  template <int N> inline constexpr kind<N> the_##kind{};                                             \
  template <int N, typename T> constexpr decltype(auto) operator->*(kind<N>, T&& x) {                 \
    using Result = decltype(op x);                                                                    \
    return On(N) ? static_cast<Result>(other x) : static_cast<Result>(op x);                          \
  }
QM_UNARY(minus, -, +) QM_UNARY(no, !, !!) QM_UNARY(complement, ~, +) QM_UNARY(up, ++, --) QM_UNARY(down, --, ++)
// clang-format on

}  // namespace qm
