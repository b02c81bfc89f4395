package slm.toolkit.core

import java.math.BigDecimal
import java.math.BigInteger

// The host's definitions (toolkit/analysis/metrics.py), equal to the last digit.

private const val NS_PER_SECOND = 1e9

/** @param ns above zero. */
fun tokensPerSecond(tokens: Long, ns: Long): Double = tokens * NS_PER_SECOND / ns

/** The middle value, or the mean of the middle two; null of nothing. */
fun median(values: List<Double>): Double? {
    if (values.isEmpty()) return null
    val sorted = values.sorted()
    val middle = sorted.size / 2
    return if (sorted.size % 2 == 1) sorted[middle] else (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * Sample standard deviation, exact until it is rounded once, as Python's statistics.stdev is; null of fewer than two
 * values. Sums of doubles would lose digits where values are large and alike.
 */
fun sampleStdev(values: List<Double>): Double? {
    if (values.size < 2) return null
    val exact = values.map(::BigDecimal)
    val count = values.size.toBigDecimal()
    val sum = exact.reduce(BigDecimal::add)
    val squares = exact.map { it * it }.reduce(BigDecimal::add)
    // The variance: (n * sum of squares - square of the sum) / (n * (n - 1)).
    val above = count * squares - sum * sum
    val below = count * (count - BigDecimal.ONE)
    return rootOfFraction(above, below)
}

/** The square root of a fraction, rounded once to the nearest double, ties to even. */
private fun rootOfFraction(above: BigDecimal, below: BigDecimal): Double {
    if (above.signum() == 0) return 0.0
    val scale = maxOf(above.scale(), below.scale(), 0)
    var numerator = above.movePointRight(scale).toBigIntegerExact()
    var denominator = below.movePointRight(scale).toBigIntegerExact()
    // As many bits that the whole part of the root has more than a double's 53 and a few to round by.
    val shift = Math.floorDiv(numerator.bitLength() - denominator.bitLength() - ROOT_BITS, 2)
    if (shift >= 0) denominator = denominator.shiftLeft(2 * shift) else numerator = numerator.shiftLeft(-2 * shift)
    val (quotient, rest) = numerator.divideAndRemainder(denominator)
    val root = wholeRoot(quotient)
    // The last bit tells that the root is not exact, so that no tie is seen where there is none.
    val inexact = rest.signum() != 0 || root * root != quotient
    val sticky = if (inexact) root.or(BigInteger.ONE) else root
    return Math.scalb(sticky.toDouble(), shift)
}

/** The whole part of the square root of a positive number, by Newton from above: Android 12 and older have none. */
private fun wholeRoot(number: BigInteger): BigInteger {
    var root = BigInteger.ONE.shiftLeft((number.bitLength() + 1) / 2)
    while (true) {
        val next = (root + number / root).shiftRight(1)
        if (next >= root) return root
        root = next
    }
}

// Twice 53 bits and some, of which the last one is sticky.
private const val ROOT_BITS = 2 * 60
