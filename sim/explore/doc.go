// Package explore looks for runs that fail, guided by what runs have reached.
//
// A case is all that decides a run; what it is, the explorer does not know: a
// [Subject] draws cases, varies them and runs them. A run reaches features: names
// of states that were seen in it, such as "a snapshot was installed while a
// partition lasted". A case that reaches a feature no case reached before is kept
// in the corpus, and cases of the corpus are varied further, those that reach rare
// features more often (Böhme, Pham, Roychoudhury: Coverage-based Greybox Fuzzing as
// Markov Chain, CCS 2016, who give seeds on rare paths more energy).
//
// Cases are drawn in rounds: all cases of a round are drawn from the corpus as it
// was when the round began, and what came of them is looked at in the order in
// which they were drawn. So an exploration depends on the subject and on the number
// of its first case, and not on how many run side by side or which ends first.
package explore
