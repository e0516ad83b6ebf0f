// Made by `orlo db types kotlin`, of what the database was then.

import kotlinx.serialization.KSerializer
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.descriptors.SerialDescriptor
import kotlinx.serialization.encoding.Decoder
import kotlinx.serialization.encoding.Encoder
import kotlinx.serialization.json.JsonElement

/** What is given where null is a value, too: Given.Of(null) is null, Given.Left is left out. */
@Serializable(with = GivenSerializer::class)
sealed class Given<out T> {
    object Left : Given<kotlin.Nothing>()
    data class Of<out T>(val value: T) : Given<T>()
}

class GivenSerializer<T>(private val of: KSerializer<T>) : KSerializer<Given<T>> {
    override val descriptor: SerialDescriptor = of.descriptor
    override fun serialize(encoder: Encoder, value: Given<T>) = when (value) {
        is Given.Of -> of.serialize(encoder, value.value)
        is Given.Left -> error("a default, which is not encoded")
    }
    override fun deserialize(decoder: Decoder): Given<T> = Given.Of(of.deserialize(decoder))
}

// enum public.mood
@Serializable
enum class Mood {
    @SerialName("good") good,
    @SerialName("so so") soSo,
    @SerialName("class") class_,
    @SerialName("So-So") soSo2,
    @SerialName("1st") n1st,
    @SerialName("") unnamed,
    @SerialName("\$x") x,
    @SerialName("\"") unnamed2,
    @SerialName("\\") unnamed3,
    @SerialName("é") unnamed4,
    @SerialName("name") name_,
}

// table api.notes
@Serializable
data class ApiNotes(
    @SerialName("id") val id: Int,
    @SerialName("value") val value: String? = null,
)

// table api.notes, a new row
@Serializable
data class ApiNotesInsert(
    @SerialName("id") val id: Int,
    @SerialName("value") val value: String? = null,
)

// table api.notes, what is to change
@Serializable
data class ApiNotesUpdate(
    @SerialName("id") val id: Int? = null,
    @SerialName("value") val value: Given<String?> = Given.Left,
)

// type public.address
@Serializable
data class Address(
    @SerialName("street") val street: String? = null,
    @SerialName("number") val number: Int? = null,
    @SerialName("moods") val moods: List<Mood>? = null,
)

// table public.*/ }
@Serializable
data class Unnamed(
    @SerialName("id") val id: Int,
)

// table public.*/ }, a new row
@Serializable
data class UnnamedInsert(
    @SerialName("id") val id: Int,
)

// table public.*/ }, what is to change
@Serializable
data class UnnamedUpdate(
    @SerialName("id") val id: Int? = null,
)

// table public.all_types
@Serializable
data class AllTypes(
    @SerialName("id") val id: Long,
    @SerialName("t0") val t0: Boolean? = null,
    @SerialName("n0") val n0: Boolean,
    @SerialName("t1") val t1: Int? = null,
    @SerialName("n1") val n1: Int,
    @SerialName("t2") val t2: Int? = null,
    @SerialName("n2") val n2: Int,
    @SerialName("t3") val t3: Long? = null,
    @SerialName("n3") val n3: Long,
    @SerialName("t4") val t4: Long? = null,
    @SerialName("n4") val n4: Long,
    @SerialName("t5") val t5: Double? = null,
    @SerialName("n5") val n5: Double,
    @SerialName("t6") val t6: Double? = null,
    @SerialName("n6") val n6: Double,
    @SerialName("t7") val t7: Double? = null,
    @SerialName("n7") val n7: Double,
    @SerialName("t8") val t8: String? = null,
    @SerialName("n8") val n8: String,
    @SerialName("t9") val t9: String? = null,
    @SerialName("n9") val n9: String,
    @SerialName("t10") val t10: String? = null,
    @SerialName("n10") val n10: String,
    @SerialName("t11") val t11: String? = null,
    @SerialName("n11") val n11: String,
    @SerialName("t12") val t12: String? = null,
    @SerialName("n12") val n12: String,
    @SerialName("t13") val t13: String? = null,
    @SerialName("n13") val n13: String,
    @SerialName("t14") val t14: String? = null,
    @SerialName("n14") val n14: String,
    @SerialName("t15") val t15: String? = null,
    @SerialName("n15") val n15: String,
    @SerialName("t16") val t16: String? = null,
    @SerialName("n16") val n16: String,
    @SerialName("t17") val t17: String? = null,
    @SerialName("n17") val n17: String,
    @SerialName("t18") val t18: String? = null,
    @SerialName("n18") val n18: String,
    @SerialName("t19") val t19: String? = null,
    @SerialName("n19") val n19: String,
    @SerialName("t20") val t20: JsonElement? = null,
    @SerialName("n20") val n20: JsonElement,
    @SerialName("t21") val t21: JsonElement? = null,
    @SerialName("n21") val n21: JsonElement,
    @SerialName("t22") val t22: String? = null,
    @SerialName("n22") val n22: String,
    @SerialName("t23") val t23: String? = null,
    @SerialName("n23") val n23: String,
)

// table public.all_types, a new row
@Serializable
data class AllTypesInsert(
    @SerialName("t0") val t0: Boolean? = null,
    @SerialName("n0") val n0: Boolean,
    @SerialName("t1") val t1: Int? = null,
    @SerialName("n1") val n1: Int,
    @SerialName("t2") val t2: Int? = null,
    @SerialName("n2") val n2: Int,
    @SerialName("t3") val t3: Long? = null,
    @SerialName("n3") val n3: Long,
    @SerialName("t4") val t4: Long? = null,
    @SerialName("n4") val n4: Long,
    @SerialName("t5") val t5: Double? = null,
    @SerialName("n5") val n5: Double,
    @SerialName("t6") val t6: Double? = null,
    @SerialName("n6") val n6: Double,
    @SerialName("t7") val t7: Double? = null,
    @SerialName("n7") val n7: Double,
    @SerialName("t8") val t8: String? = null,
    @SerialName("n8") val n8: String,
    @SerialName("t9") val t9: String? = null,
    @SerialName("n9") val n9: String,
    @SerialName("t10") val t10: String? = null,
    @SerialName("n10") val n10: String,
    @SerialName("t11") val t11: String? = null,
    @SerialName("n11") val n11: String,
    @SerialName("t12") val t12: String? = null,
    @SerialName("n12") val n12: String,
    @SerialName("t13") val t13: String? = null,
    @SerialName("n13") val n13: String,
    @SerialName("t14") val t14: String? = null,
    @SerialName("n14") val n14: String,
    @SerialName("t15") val t15: String? = null,
    @SerialName("n15") val n15: String,
    @SerialName("t16") val t16: String? = null,
    @SerialName("n16") val n16: String,
    @SerialName("t17") val t17: String? = null,
    @SerialName("n17") val n17: String,
    @SerialName("t18") val t18: String? = null,
    @SerialName("n18") val n18: String,
    @SerialName("t19") val t19: String? = null,
    @SerialName("n19") val n19: String,
    @SerialName("t20") val t20: JsonElement? = null,
    @SerialName("n20") val n20: JsonElement,
    @SerialName("t21") val t21: JsonElement? = null,
    @SerialName("n21") val n21: JsonElement,
    @SerialName("t22") val t22: String? = null,
    @SerialName("n22") val n22: String,
    @SerialName("t23") val t23: String? = null,
    @SerialName("n23") val n23: String,
)

// table public.all_types, what is to change
@Serializable
data class AllTypesUpdate(
    @SerialName("t0") val t0: Given<Boolean?> = Given.Left,
    @SerialName("n0") val n0: Boolean? = null,
    @SerialName("t1") val t1: Given<Int?> = Given.Left,
    @SerialName("n1") val n1: Int? = null,
    @SerialName("t2") val t2: Given<Int?> = Given.Left,
    @SerialName("n2") val n2: Int? = null,
    @SerialName("t3") val t3: Given<Long?> = Given.Left,
    @SerialName("n3") val n3: Long? = null,
    @SerialName("t4") val t4: Given<Long?> = Given.Left,
    @SerialName("n4") val n4: Long? = null,
    @SerialName("t5") val t5: Given<Double?> = Given.Left,
    @SerialName("n5") val n5: Double? = null,
    @SerialName("t6") val t6: Given<Double?> = Given.Left,
    @SerialName("n6") val n6: Double? = null,
    @SerialName("t7") val t7: Given<Double?> = Given.Left,
    @SerialName("n7") val n7: Double? = null,
    @SerialName("t8") val t8: Given<String?> = Given.Left,
    @SerialName("n8") val n8: String? = null,
    @SerialName("t9") val t9: Given<String?> = Given.Left,
    @SerialName("n9") val n9: String? = null,
    @SerialName("t10") val t10: Given<String?> = Given.Left,
    @SerialName("n10") val n10: String? = null,
    @SerialName("t11") val t11: Given<String?> = Given.Left,
    @SerialName("n11") val n11: String? = null,
    @SerialName("t12") val t12: Given<String?> = Given.Left,
    @SerialName("n12") val n12: String? = null,
    @SerialName("t13") val t13: Given<String?> = Given.Left,
    @SerialName("n13") val n13: String? = null,
    @SerialName("t14") val t14: Given<String?> = Given.Left,
    @SerialName("n14") val n14: String? = null,
    @SerialName("t15") val t15: Given<String?> = Given.Left,
    @SerialName("n15") val n15: String? = null,
    @SerialName("t16") val t16: Given<String?> = Given.Left,
    @SerialName("n16") val n16: String? = null,
    @SerialName("t17") val t17: Given<String?> = Given.Left,
    @SerialName("n17") val n17: String? = null,
    @SerialName("t18") val t18: Given<String?> = Given.Left,
    @SerialName("n18") val n18: String? = null,
    @SerialName("t19") val t19: Given<String?> = Given.Left,
    @SerialName("n19") val n19: String? = null,
    @SerialName("t20") val t20: Given<JsonElement?> = Given.Left,
    @SerialName("n20") val n20: JsonElement? = null,
    @SerialName("t21") val t21: Given<JsonElement?> = Given.Left,
    @SerialName("n21") val n21: JsonElement? = null,
    @SerialName("t22") val t22: Given<String?> = Given.Left,
    @SerialName("n22") val n22: String? = null,
    @SerialName("t23") val t23: Given<String?> = Given.Left,
    @SerialName("n23") val n23: String? = null,
)

// table public.arrays
@Serializable
data class Arrays(
    @SerialName("id") val id: Long,
    @SerialName("t0") val t0: List<Boolean>? = null,
    @SerialName("t1") val t1: List<Int>? = null,
    @SerialName("t2") val t2: List<Int>? = null,
    @SerialName("t3") val t3: List<Long>? = null,
    @SerialName("t4") val t4: List<Long>? = null,
    @SerialName("t5") val t5: List<Double>? = null,
    @SerialName("t6") val t6: List<Double>? = null,
    @SerialName("t7") val t7: List<Double>? = null,
    @SerialName("t8") val t8: List<String>? = null,
    @SerialName("t9") val t9: List<String>? = null,
    @SerialName("t10") val t10: List<String>? = null,
    @SerialName("t11") val t11: List<String>? = null,
    @SerialName("t12") val t12: List<String>? = null,
    @SerialName("t13") val t13: List<String>? = null,
    @SerialName("t14") val t14: List<String>? = null,
    @SerialName("t15") val t15: List<String>? = null,
    @SerialName("t16") val t16: List<String>? = null,
    @SerialName("t17") val t17: List<String>? = null,
    @SerialName("t18") val t18: List<String>? = null,
    @SerialName("t19") val t19: List<String>? = null,
    @SerialName("t20") val t20: List<JsonElement>? = null,
    @SerialName("t21") val t21: List<JsonElement>? = null,
    @SerialName("t22") val t22: List<String>? = null,
    @SerialName("t23") val t23: List<String>? = null,
)

// table public.arrays, a new row
@Serializable
data class ArraysInsert(
    @SerialName("id") val id: Long? = null,
    @SerialName("t0") val t0: List<Boolean>? = null,
    @SerialName("t1") val t1: List<Int>? = null,
    @SerialName("t2") val t2: List<Int>? = null,
    @SerialName("t3") val t3: List<Long>? = null,
    @SerialName("t4") val t4: List<Long>? = null,
    @SerialName("t5") val t5: List<Double>? = null,
    @SerialName("t6") val t6: List<Double>? = null,
    @SerialName("t7") val t7: List<Double>? = null,
    @SerialName("t8") val t8: List<String>? = null,
    @SerialName("t9") val t9: List<String>? = null,
    @SerialName("t10") val t10: List<String>? = null,
    @SerialName("t11") val t11: List<String>? = null,
    @SerialName("t12") val t12: List<String>? = null,
    @SerialName("t13") val t13: List<String>? = null,
    @SerialName("t14") val t14: List<String>? = null,
    @SerialName("t15") val t15: List<String>? = null,
    @SerialName("t16") val t16: List<String>? = null,
    @SerialName("t17") val t17: List<String>? = null,
    @SerialName("t18") val t18: List<String>? = null,
    @SerialName("t19") val t19: List<String>? = null,
    @SerialName("t20") val t20: List<JsonElement>? = null,
    @SerialName("t21") val t21: List<JsonElement>? = null,
    @SerialName("t22") val t22: List<String>? = null,
    @SerialName("t23") val t23: List<String>? = null,
)

// table public.arrays, what is to change
@Serializable
data class ArraysUpdate(
    @SerialName("id") val id: Long? = null,
    @SerialName("t0") val t0: Given<List<Boolean>?> = Given.Left,
    @SerialName("t1") val t1: Given<List<Int>?> = Given.Left,
    @SerialName("t2") val t2: Given<List<Int>?> = Given.Left,
    @SerialName("t3") val t3: Given<List<Long>?> = Given.Left,
    @SerialName("t4") val t4: Given<List<Long>?> = Given.Left,
    @SerialName("t5") val t5: Given<List<Double>?> = Given.Left,
    @SerialName("t6") val t6: Given<List<Double>?> = Given.Left,
    @SerialName("t7") val t7: Given<List<Double>?> = Given.Left,
    @SerialName("t8") val t8: Given<List<String>?> = Given.Left,
    @SerialName("t9") val t9: Given<List<String>?> = Given.Left,
    @SerialName("t10") val t10: Given<List<String>?> = Given.Left,
    @SerialName("t11") val t11: Given<List<String>?> = Given.Left,
    @SerialName("t12") val t12: Given<List<String>?> = Given.Left,
    @SerialName("t13") val t13: Given<List<String>?> = Given.Left,
    @SerialName("t14") val t14: Given<List<String>?> = Given.Left,
    @SerialName("t15") val t15: Given<List<String>?> = Given.Left,
    @SerialName("t16") val t16: Given<List<String>?> = Given.Left,
    @SerialName("t17") val t17: Given<List<String>?> = Given.Left,
    @SerialName("t18") val t18: Given<List<String>?> = Given.Left,
    @SerialName("t19") val t19: Given<List<String>?> = Given.Left,
    @SerialName("t20") val t20: Given<List<JsonElement>?> = Given.Left,
    @SerialName("t21") val t21: Given<List<JsonElement>?> = Given.Left,
    @SerialName("t22") val t22: Given<List<String>?> = Given.Left,
    @SerialName("t23") val t23: Given<List<String>?> = Given.Left,
)

// table public.notes
@Serializable
data class Notes(
    @SerialName("id") val id: Long,
    @SerialName("owner") val owner: String,
    @SerialName("title") val title: String,
    @SerialName("price") val price: Double? = null,
    @SerialName("j") val j: JsonElement? = null,
    @SerialName("m") val m: Mood,
    @SerialName("maybe") val maybe: Mood? = null,
    @SerialName("moods") val moods: List<Mood>? = null,
    @SerialName("e") val e: String? = null,
    @SerialName("es") val es: List<String>? = null,
    @SerialName("full_title") val fullTitle: String? = null,
)

// table public.notes, a new row
@Serializable
data class NotesInsert(
    @SerialName("id") val id: Long? = null,
    @SerialName("owner") val owner: String? = null,
    @SerialName("title") val title: String,
    @SerialName("price") val price: Double? = null,
    @SerialName("j") val j: Given<JsonElement?> = Given.Left,
    @SerialName("m") val m: Mood? = null,
    @SerialName("maybe") val maybe: Mood? = null,
    @SerialName("moods") val moods: List<Mood>? = null,
    @SerialName("e") val e: String? = null,
    @SerialName("es") val es: List<String>? = null,
)

// table public.notes, what is to change
@Serializable
data class NotesUpdate(
    @SerialName("id") val id: Long? = null,
    @SerialName("owner") val owner: String? = null,
    @SerialName("title") val title: String? = null,
    @SerialName("price") val price: Given<Double?> = Given.Left,
    @SerialName("j") val j: Given<JsonElement?> = Given.Left,
    @SerialName("m") val m: Mood? = null,
    @SerialName("maybe") val maybe: Given<Mood?> = Given.Left,
    @SerialName("moods") val moods: Given<List<Mood>?> = Given.Left,
    @SerialName("e") val e: Given<String?> = Given.Left,
    @SerialName("es") val es: Given<List<String>?> = Given.Left,
)

// table public.order items
@Serializable
data class OrderItems(
    @SerialName("class") val class_: String,
    @SerialName("1st") val n1st: Int? = null,
    @SerialName("a b") val aB: Int? = null,
    @SerialName("a_b") val aB2: Int? = null,
    @SerialName("aB") val aB3: Int? = null,
    @SerialName("\$") val unnamed: Int? = null,
    @SerialName("é") val unnamed2: Int? = null,
    @SerialName("toString") val toString_: String? = null,
    @SerialName("x\"y\\z") val xYZ: String? = null,
    @SerialName("HTTPCode") val hTTPCode: Int? = null,
    @SerialName("ID") val id: Int,
    @SerialName("name") val name: String? = null,
    @SerialName("value") val value: Int? = null,
    @SerialName("type") val type: String? = null,
    @SerialName("file") val file: String? = null,
)

// table public.order items, a new row
@Serializable
data class OrderItemsInsert(
    @SerialName("class") val class_: String,
    @SerialName("1st") val n1st: Int? = null,
    @SerialName("a b") val aB: Int? = null,
    @SerialName("a_b") val aB2: Int? = null,
    @SerialName("aB") val aB3: Int? = null,
    @SerialName("\$") val unnamed: Int? = null,
    @SerialName("é") val unnamed2: Int? = null,
    @SerialName("toString") val toString_: String? = null,
    @SerialName("x\"y\\z") val xYZ: String? = null,
    @SerialName("HTTPCode") val hTTPCode: Int? = null,
    @SerialName("ID") val id: Int,
    @SerialName("name") val name: String? = null,
    @SerialName("value") val value: Int? = null,
    @SerialName("type") val type: String? = null,
    @SerialName("file") val file: String? = null,
)

// table public.order items, what is to change
@Serializable
data class OrderItemsUpdate(
    @SerialName("class") val class_: String? = null,
    @SerialName("1st") val n1st: Given<Int?> = Given.Left,
    @SerialName("a b") val aB: Given<Int?> = Given.Left,
    @SerialName("a_b") val aB2: Given<Int?> = Given.Left,
    @SerialName("aB") val aB3: Given<Int?> = Given.Left,
    @SerialName("\$") val unnamed: Given<Int?> = Given.Left,
    @SerialName("é") val unnamed2: Given<Int?> = Given.Left,
    @SerialName("toString") val toString_: Given<String?> = Given.Left,
    @SerialName("x\"y\\z") val xYZ: Given<String?> = Given.Left,
    @SerialName("HTTPCode") val hTTPCode: Given<Int?> = Given.Left,
    @SerialName("ID") val id: Int? = null,
    @SerialName("name") val name: Given<String?> = Given.Left,
    @SerialName("value") val value: Given<Int?> = Given.Left,
    @SerialName("type") val type: Given<String?> = Given.Left,
    @SerialName("file") val file: Given<String?> = Given.Left,
)

// table public.string
@Serializable
data class String2(
    @SerialName("id") val id: Int,
)

// table public.string, a new row
@Serializable
data class StringInsert(
    @SerialName("id") val id: Int,
)

// table public.string, what is to change
@Serializable
data class StringUpdate(
    @SerialName("id") val id: Int? = null,
)

// view public.titles
@Serializable
data class Titles(
    @SerialName("id") val id: Long? = null,
    @SerialName("title") val title: String? = null,
    @SerialName("m") val m: Mood? = null,
)

// function public.find
@Serializable
data class FindArgs(
    @SerialName("q") val q: String,
    @SerialName("lim") val lim: Int? = null,
)

// function public.nothing
@Serializable
data class NothingArgs(
    @SerialName("switch") val switch_: Boolean,
)

// function public.pair
@Serializable
data class PairArgs(
    @SerialName("x") val x: Int,
)

// function public.pair, a row of it
@Serializable
data class PairRow(
    @SerialName("a") val a: Int? = null,
    @SerialName("b") val b: String? = null,
)

// function public.find, what it gives
typealias FindReturns = List<Notes>

// function public.how_many, what it gives
typealias HowManyReturns = Long

// function public.names, what it gives
typealias NamesReturns = List<String>

// function public.pair, what it gives
typealias PairReturns = List<PairRow>
