// Made by `orlo db types swift`, of what the database was then.

import Foundation

/// Any value of JSON.
enum Json: Codable, Hashable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([Json])
    case object([String: Json])

    init(from decoder: Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() { self = .null }
        else if let it = try? value.decode(Bool.self) { self = .bool(it) }
        else if let it = try? value.decode(Double.self) { self = .number(it) }
        else if let it = try? value.decode(String.self) { self = .string(it) }
        else if let it = try? value.decode([Json].self) { self = .array(it) }
        else { self = .object(try value.decode([String: Json].self)) }
    }

    func encode(to encoder: Encoder) throws {
        var value = encoder.singleValueContainer()
        switch self {
        case .null: try value.encodeNil()
        case .bool(let it): try value.encode(it)
        case .number(let it): try value.encode(it)
        case .string(let it): try value.encode(it)
        case .array(let it): try value.encode(it)
        case .object(let it): try value.encode(it)
        }
    }
}

// Of what is given, T? that is nil is left out. T?? is left out as nil, null as .some(nil), a value as itself.

/// enum public.mood
enum Mood: String, Codable, CaseIterable, Hashable, Sendable {
    case good = "good"
    case soSo = "so so"
    case class_ = "class"
    case soSo2 = "So-So"
    case n1st = "1st"
    case unnamed = ""
    case x = "$x"
    case unnamed2 = "\""
    case unnamed3 = "\\"
    case unnamed4 = "é"
    case name_ = "name"
}

/// table api.notes
struct ApiNotes: Codable, Hashable, Sendable {
    var id: Int
    var value: String?

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case value = "value"
    }
}

/// table api.notes, a new row
struct ApiNotesInsert: Encodable, Hashable, Sendable {
    var id: Int
    var value: String?

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case value = "value"
    }
}

/// table api.notes, what is to change
struct ApiNotesUpdate: Encodable, Hashable, Sendable {
    var id: Int?
    var value: String??

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case value = "value"
    }
}

/// type public.address
struct Address: Codable, Hashable, Sendable {
    var street: String?
    var number: Int?
    var moods: [Mood]?

    enum CodingKeys: String, CodingKey {
        case street = "street"
        case number = "number"
        case moods = "moods"
    }
}

/// table public.*/ }
struct Unnamed: Codable, Hashable, Sendable {
    var id: Int

    enum CodingKeys: String, CodingKey {
        case id = "id"
    }
}

/// table public.*/ }, a new row
struct UnnamedInsert: Encodable, Hashable, Sendable {
    var id: Int

    enum CodingKeys: String, CodingKey {
        case id = "id"
    }
}

/// table public.*/ }, what is to change
struct UnnamedUpdate: Encodable, Hashable, Sendable {
    var id: Int?

    enum CodingKeys: String, CodingKey {
        case id = "id"
    }
}

/// table public.all_types
struct AllTypes: Codable, Hashable, Sendable {
    var id: Int64
    var t0: Bool?
    var n0: Bool
    var t1: Int?
    var n1: Int
    var t2: Int?
    var n2: Int
    var t3: Int64?
    var n3: Int64
    var t4: Int64?
    var n4: Int64
    var t5: Double?
    var n5: Double
    var t6: Double?
    var n6: Double
    var t7: Decimal?
    var n7: Decimal
    var t8: String?
    var n8: String
    var t9: String?
    var n9: String
    var t10: String?
    var n10: String
    var t11: String?
    var n11: String
    var t12: String?
    var n12: String
    var t13: String?
    var n13: String
    var t14: String?
    var n14: String
    var t15: String?
    var n15: String
    var t16: String?
    var n16: String
    var t17: String?
    var n17: String
    var t18: String?
    var n18: String
    var t19: String?
    var n19: String
    var t20: Json?
    var n20: Json
    var t21: Json?
    var n21: Json
    var t22: String?
    var n22: String
    var t23: String?
    var n23: String

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case t0 = "t0"
        case n0 = "n0"
        case t1 = "t1"
        case n1 = "n1"
        case t2 = "t2"
        case n2 = "n2"
        case t3 = "t3"
        case n3 = "n3"
        case t4 = "t4"
        case n4 = "n4"
        case t5 = "t5"
        case n5 = "n5"
        case t6 = "t6"
        case n6 = "n6"
        case t7 = "t7"
        case n7 = "n7"
        case t8 = "t8"
        case n8 = "n8"
        case t9 = "t9"
        case n9 = "n9"
        case t10 = "t10"
        case n10 = "n10"
        case t11 = "t11"
        case n11 = "n11"
        case t12 = "t12"
        case n12 = "n12"
        case t13 = "t13"
        case n13 = "n13"
        case t14 = "t14"
        case n14 = "n14"
        case t15 = "t15"
        case n15 = "n15"
        case t16 = "t16"
        case n16 = "n16"
        case t17 = "t17"
        case n17 = "n17"
        case t18 = "t18"
        case n18 = "n18"
        case t19 = "t19"
        case n19 = "n19"
        case t20 = "t20"
        case n20 = "n20"
        case t21 = "t21"
        case n21 = "n21"
        case t22 = "t22"
        case n22 = "n22"
        case t23 = "t23"
        case n23 = "n23"
    }
}

/// table public.all_types, a new row
struct AllTypesInsert: Encodable, Hashable, Sendable {
    var t0: Bool?
    var n0: Bool
    var t1: Int?
    var n1: Int
    var t2: Int?
    var n2: Int
    var t3: Int64?
    var n3: Int64
    var t4: Int64?
    var n4: Int64
    var t5: Double?
    var n5: Double
    var t6: Double?
    var n6: Double
    var t7: Decimal?
    var n7: Decimal
    var t8: String?
    var n8: String
    var t9: String?
    var n9: String
    var t10: String?
    var n10: String
    var t11: String?
    var n11: String
    var t12: String?
    var n12: String
    var t13: String?
    var n13: String
    var t14: String?
    var n14: String
    var t15: String?
    var n15: String
    var t16: String?
    var n16: String
    var t17: String?
    var n17: String
    var t18: String?
    var n18: String
    var t19: String?
    var n19: String
    var t20: Json?
    var n20: Json
    var t21: Json?
    var n21: Json
    var t22: String?
    var n22: String
    var t23: String?
    var n23: String

    enum CodingKeys: String, CodingKey {
        case t0 = "t0"
        case n0 = "n0"
        case t1 = "t1"
        case n1 = "n1"
        case t2 = "t2"
        case n2 = "n2"
        case t3 = "t3"
        case n3 = "n3"
        case t4 = "t4"
        case n4 = "n4"
        case t5 = "t5"
        case n5 = "n5"
        case t6 = "t6"
        case n6 = "n6"
        case t7 = "t7"
        case n7 = "n7"
        case t8 = "t8"
        case n8 = "n8"
        case t9 = "t9"
        case n9 = "n9"
        case t10 = "t10"
        case n10 = "n10"
        case t11 = "t11"
        case n11 = "n11"
        case t12 = "t12"
        case n12 = "n12"
        case t13 = "t13"
        case n13 = "n13"
        case t14 = "t14"
        case n14 = "n14"
        case t15 = "t15"
        case n15 = "n15"
        case t16 = "t16"
        case n16 = "n16"
        case t17 = "t17"
        case n17 = "n17"
        case t18 = "t18"
        case n18 = "n18"
        case t19 = "t19"
        case n19 = "n19"
        case t20 = "t20"
        case n20 = "n20"
        case t21 = "t21"
        case n21 = "n21"
        case t22 = "t22"
        case n22 = "n22"
        case t23 = "t23"
        case n23 = "n23"
    }
}

/// table public.all_types, what is to change
struct AllTypesUpdate: Encodable, Hashable, Sendable {
    var t0: Bool??
    var n0: Bool?
    var t1: Int??
    var n1: Int?
    var t2: Int??
    var n2: Int?
    var t3: Int64??
    var n3: Int64?
    var t4: Int64??
    var n4: Int64?
    var t5: Double??
    var n5: Double?
    var t6: Double??
    var n6: Double?
    var t7: Decimal??
    var n7: Decimal?
    var t8: String??
    var n8: String?
    var t9: String??
    var n9: String?
    var t10: String??
    var n10: String?
    var t11: String??
    var n11: String?
    var t12: String??
    var n12: String?
    var t13: String??
    var n13: String?
    var t14: String??
    var n14: String?
    var t15: String??
    var n15: String?
    var t16: String??
    var n16: String?
    var t17: String??
    var n17: String?
    var t18: String??
    var n18: String?
    var t19: String??
    var n19: String?
    var t20: Json??
    var n20: Json?
    var t21: Json??
    var n21: Json?
    var t22: String??
    var n22: String?
    var t23: String??
    var n23: String?

    enum CodingKeys: String, CodingKey {
        case t0 = "t0"
        case n0 = "n0"
        case t1 = "t1"
        case n1 = "n1"
        case t2 = "t2"
        case n2 = "n2"
        case t3 = "t3"
        case n3 = "n3"
        case t4 = "t4"
        case n4 = "n4"
        case t5 = "t5"
        case n5 = "n5"
        case t6 = "t6"
        case n6 = "n6"
        case t7 = "t7"
        case n7 = "n7"
        case t8 = "t8"
        case n8 = "n8"
        case t9 = "t9"
        case n9 = "n9"
        case t10 = "t10"
        case n10 = "n10"
        case t11 = "t11"
        case n11 = "n11"
        case t12 = "t12"
        case n12 = "n12"
        case t13 = "t13"
        case n13 = "n13"
        case t14 = "t14"
        case n14 = "n14"
        case t15 = "t15"
        case n15 = "n15"
        case t16 = "t16"
        case n16 = "n16"
        case t17 = "t17"
        case n17 = "n17"
        case t18 = "t18"
        case n18 = "n18"
        case t19 = "t19"
        case n19 = "n19"
        case t20 = "t20"
        case n20 = "n20"
        case t21 = "t21"
        case n21 = "n21"
        case t22 = "t22"
        case n22 = "n22"
        case t23 = "t23"
        case n23 = "n23"
    }
}

/// table public.arrays
struct Arrays: Codable, Hashable, Sendable {
    var id: Int64
    var t0: [Bool]?
    var t1: [Int]?
    var t2: [Int]?
    var t3: [Int64]?
    var t4: [Int64]?
    var t5: [Double]?
    var t6: [Double]?
    var t7: [Decimal]?
    var t8: [String]?
    var t9: [String]?
    var t10: [String]?
    var t11: [String]?
    var t12: [String]?
    var t13: [String]?
    var t14: [String]?
    var t15: [String]?
    var t16: [String]?
    var t17: [String]?
    var t18: [String]?
    var t19: [String]?
    var t20: [Json]?
    var t21: [Json]?
    var t22: [String]?
    var t23: [String]?

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case t0 = "t0"
        case t1 = "t1"
        case t2 = "t2"
        case t3 = "t3"
        case t4 = "t4"
        case t5 = "t5"
        case t6 = "t6"
        case t7 = "t7"
        case t8 = "t8"
        case t9 = "t9"
        case t10 = "t10"
        case t11 = "t11"
        case t12 = "t12"
        case t13 = "t13"
        case t14 = "t14"
        case t15 = "t15"
        case t16 = "t16"
        case t17 = "t17"
        case t18 = "t18"
        case t19 = "t19"
        case t20 = "t20"
        case t21 = "t21"
        case t22 = "t22"
        case t23 = "t23"
    }
}

/// table public.arrays, a new row
struct ArraysInsert: Encodable, Hashable, Sendable {
    var id: Int64?
    var t0: [Bool]?
    var t1: [Int]?
    var t2: [Int]?
    var t3: [Int64]?
    var t4: [Int64]?
    var t5: [Double]?
    var t6: [Double]?
    var t7: [Decimal]?
    var t8: [String]?
    var t9: [String]?
    var t10: [String]?
    var t11: [String]?
    var t12: [String]?
    var t13: [String]?
    var t14: [String]?
    var t15: [String]?
    var t16: [String]?
    var t17: [String]?
    var t18: [String]?
    var t19: [String]?
    var t20: [Json]?
    var t21: [Json]?
    var t22: [String]?
    var t23: [String]?

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case t0 = "t0"
        case t1 = "t1"
        case t2 = "t2"
        case t3 = "t3"
        case t4 = "t4"
        case t5 = "t5"
        case t6 = "t6"
        case t7 = "t7"
        case t8 = "t8"
        case t9 = "t9"
        case t10 = "t10"
        case t11 = "t11"
        case t12 = "t12"
        case t13 = "t13"
        case t14 = "t14"
        case t15 = "t15"
        case t16 = "t16"
        case t17 = "t17"
        case t18 = "t18"
        case t19 = "t19"
        case t20 = "t20"
        case t21 = "t21"
        case t22 = "t22"
        case t23 = "t23"
    }
}

/// table public.arrays, what is to change
struct ArraysUpdate: Encodable, Hashable, Sendable {
    var id: Int64?
    var t0: [Bool]??
    var t1: [Int]??
    var t2: [Int]??
    var t3: [Int64]??
    var t4: [Int64]??
    var t5: [Double]??
    var t6: [Double]??
    var t7: [Decimal]??
    var t8: [String]??
    var t9: [String]??
    var t10: [String]??
    var t11: [String]??
    var t12: [String]??
    var t13: [String]??
    var t14: [String]??
    var t15: [String]??
    var t16: [String]??
    var t17: [String]??
    var t18: [String]??
    var t19: [String]??
    var t20: [Json]??
    var t21: [Json]??
    var t22: [String]??
    var t23: [String]??

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case t0 = "t0"
        case t1 = "t1"
        case t2 = "t2"
        case t3 = "t3"
        case t4 = "t4"
        case t5 = "t5"
        case t6 = "t6"
        case t7 = "t7"
        case t8 = "t8"
        case t9 = "t9"
        case t10 = "t10"
        case t11 = "t11"
        case t12 = "t12"
        case t13 = "t13"
        case t14 = "t14"
        case t15 = "t15"
        case t16 = "t16"
        case t17 = "t17"
        case t18 = "t18"
        case t19 = "t19"
        case t20 = "t20"
        case t21 = "t21"
        case t22 = "t22"
        case t23 = "t23"
    }
}

/// table public.notes
struct Notes: Codable, Hashable, Sendable {
    var id: Int64
    var owner: String
    var title: String
    var price: Decimal?
    var j: Json?
    var m: Mood
    var maybe: Mood?
    var moods: [Mood]?
    var e: String?
    var es: [String]?
    var fullTitle: String?

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case owner = "owner"
        case title = "title"
        case price = "price"
        case j = "j"
        case m = "m"
        case maybe = "maybe"
        case moods = "moods"
        case e = "e"
        case es = "es"
        case fullTitle = "full_title"
    }
}

/// table public.notes, a new row
struct NotesInsert: Encodable, Hashable, Sendable {
    var id: Int64?
    var owner: String?
    var title: String
    var price: Decimal?
    var j: Json??
    var m: Mood?
    var maybe: Mood?
    var moods: [Mood]?
    var e: String?
    var es: [String]?

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case owner = "owner"
        case title = "title"
        case price = "price"
        case j = "j"
        case m = "m"
        case maybe = "maybe"
        case moods = "moods"
        case e = "e"
        case es = "es"
    }
}

/// table public.notes, what is to change
struct NotesUpdate: Encodable, Hashable, Sendable {
    var id: Int64?
    var owner: String?
    var title: String?
    var price: Decimal??
    var j: Json??
    var m: Mood?
    var maybe: Mood??
    var moods: [Mood]??
    var e: String??
    var es: [String]??

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case owner = "owner"
        case title = "title"
        case price = "price"
        case j = "j"
        case m = "m"
        case maybe = "maybe"
        case moods = "moods"
        case e = "e"
        case es = "es"
    }
}

/// table public.order items
struct OrderItems: Codable, Hashable, Sendable {
    var class_: String
    var n1st: Int?
    var aB: Int?
    var aB2: Int?
    var aB3: Int?
    var unnamed: Int?
    var unnamed2: Int?
    var toString_: String?
    var xYZ: String?
    var hTTPCode: Int?
    var id: Int
    var name: String?
    var value: Int?
    var type: String?
    var file: String?

    enum CodingKeys: String, CodingKey {
        case class_ = "class"
        case n1st = "1st"
        case aB = "a b"
        case aB2 = "a_b"
        case aB3 = "aB"
        case unnamed = "$"
        case unnamed2 = "é"
        case toString_ = "toString"
        case xYZ = "x\"y\\z"
        case hTTPCode = "HTTPCode"
        case id = "ID"
        case name = "name"
        case value = "value"
        case type = "type"
        case file = "file"
    }
}

/// table public.order items, a new row
struct OrderItemsInsert: Encodable, Hashable, Sendable {
    var class_: String
    var n1st: Int?
    var aB: Int?
    var aB2: Int?
    var aB3: Int?
    var unnamed: Int?
    var unnamed2: Int?
    var toString_: String?
    var xYZ: String?
    var hTTPCode: Int?
    var id: Int
    var name: String?
    var value: Int?
    var type: String?
    var file: String?

    enum CodingKeys: String, CodingKey {
        case class_ = "class"
        case n1st = "1st"
        case aB = "a b"
        case aB2 = "a_b"
        case aB3 = "aB"
        case unnamed = "$"
        case unnamed2 = "é"
        case toString_ = "toString"
        case xYZ = "x\"y\\z"
        case hTTPCode = "HTTPCode"
        case id = "ID"
        case name = "name"
        case value = "value"
        case type = "type"
        case file = "file"
    }
}

/// table public.order items, what is to change
struct OrderItemsUpdate: Encodable, Hashable, Sendable {
    var class_: String?
    var n1st: Int??
    var aB: Int??
    var aB2: Int??
    var aB3: Int??
    var unnamed: Int??
    var unnamed2: Int??
    var toString_: String??
    var xYZ: String??
    var hTTPCode: Int??
    var id: Int?
    var name: String??
    var value: Int??
    var type: String??
    var file: String??

    enum CodingKeys: String, CodingKey {
        case class_ = "class"
        case n1st = "1st"
        case aB = "a b"
        case aB2 = "a_b"
        case aB3 = "aB"
        case unnamed = "$"
        case unnamed2 = "é"
        case toString_ = "toString"
        case xYZ = "x\"y\\z"
        case hTTPCode = "HTTPCode"
        case id = "ID"
        case name = "name"
        case value = "value"
        case type = "type"
        case file = "file"
    }
}

/// table public.string
struct String2: Codable, Hashable, Sendable {
    var id: Int

    enum CodingKeys: String, CodingKey {
        case id = "id"
    }
}

/// table public.string, a new row
struct StringInsert: Encodable, Hashable, Sendable {
    var id: Int

    enum CodingKeys: String, CodingKey {
        case id = "id"
    }
}

/// table public.string, what is to change
struct StringUpdate: Encodable, Hashable, Sendable {
    var id: Int?

    enum CodingKeys: String, CodingKey {
        case id = "id"
    }
}

/// view public.titles
struct Titles: Codable, Hashable, Sendable {
    var id: Int64?
    var title: String?
    var m: Mood?

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case title = "title"
        case m = "m"
    }
}

/// function public.find
struct FindArgs: Encodable, Hashable, Sendable {
    var q: String
    var lim: Int?

    enum CodingKeys: String, CodingKey {
        case q = "q"
        case lim = "lim"
    }
}

/// function public.nothing
struct NothingArgs: Encodable, Hashable, Sendable {
    var switch_: Bool

    enum CodingKeys: String, CodingKey {
        case switch_ = "switch"
    }
}

/// function public.pair
struct PairArgs: Encodable, Hashable, Sendable {
    var x: Int

    enum CodingKeys: String, CodingKey {
        case x = "x"
    }
}

/// function public.pair, a row of it
struct PairRow: Codable, Hashable, Sendable {
    var a: Int?
    var b: String?

    enum CodingKeys: String, CodingKey {
        case a = "a"
        case b = "b"
    }
}

/// function public.find, what it gives
typealias FindReturns = [Notes]

/// function public.how_many, what it gives
typealias HowManyReturns = Int64

/// function public.names, what it gives
typealias NamesReturns = [String]

/// function public.pair, what it gives
typealias PairReturns = [PairRow]
