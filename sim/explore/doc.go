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
// What is too fine to have names, such as which sequences of turns the goroutines took
// ([Outcome.Seen]), is counted and guides nothing. It was tried: a case was also kept, and
// varied the more, if it saw sequences that none before had seen. Of the small programs in
// sim/detrt/canary, each with a bug that needs a certain order, it found none sooner
// (median of 12 searches, in runs: 36 instead of 37, 60 instead of 29, 4 instead of 4, and
// one that neither found in 120). A seed decides a schedule as a whole, so nothing of it
// but its kind is handed on to the variation of a case; and each new seed sees something
// new.
//
// Cases are drawn in rounds: all cases of a round are drawn from the corpus as it
// was when the round began, and what came of them is looked at in the order in
// which they were drawn. So an exploration depends on the subject and on the number
// of its first case, and not on how many run side by side or which ends first.
package explore
