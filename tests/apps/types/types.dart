// Made by `orlo db types dart`, of what the database was then.
// ignore_for_file: unnecessary_question_mark

/// What is given where null is a value, too: Given(null) is null, null is left out.
class Given<T> {
  final T value;
  const Given(this.value);
}

/// enum public.mood
enum Mood {
  good("good"),
  soSo("so so"),
  class_("class"),
  soSo2("So-So"),
  n1st("1st"),
  unnamed(""),
  x("\$x"),
  unnamed2("\""),
  unnamed3("\\"),
  unnamed4("é"),
  name_("name");

  const Mood(this.wire);
  final String wire;
  static Mood of(Object? wire) => values.firstWhere((e) => e.wire == wire);
}

/// table api.notes
class ApiNotes {
  final int id;
  final String? value;

  const ApiNotes({
    required this.id,
    this.value,
  });

  factory ApiNotes.fromJson(Map<String, dynamic> json) => ApiNotes(
        id: json["id"] as int,
        value: json["value"] == null ? null : json["value"] as String,
      );

  Map<String, dynamic> toJson() => {
        "id": id,
        "value": value,
      };
}

/// table api.notes, a new row
class ApiNotesInsert {
  final int id;
  final String? value;

  const ApiNotesInsert({
    required this.id,
    this.value,
  });

  Map<String, dynamic> toJson() => {
        "id": id,
        if (value != null) "value": value!,
      };
}

/// table api.notes, what is to change
class ApiNotesUpdate {
  final int? id;
  final Given<String?>? value;

  const ApiNotesUpdate({
    this.id,
    this.value,
  });

  Map<String, dynamic> toJson() => {
        if (id != null) "id": id!,
        if (value != null) "value": value!.value,
      };
}

/// type public.address
class Address {
  final String? street;
  final int? number;
  final List<Mood>? moods;

  const Address({
    this.street,
    this.number,
    this.moods,
  });

  factory Address.fromJson(Map<String, dynamic> json) => Address(
        street: json["street"] == null ? null : json["street"] as String,
        number: json["number"] == null ? null : json["number"] as int,
        moods: json["moods"] == null ? null : (json["moods"] as List).map((e) => Mood.of(e)).toList(),
      );

  Map<String, dynamic> toJson() => {
        "street": street,
        "number": number,
        "moods": moods?.map((e) => e.wire).toList(),
      };
}

/// table public.*/ }
class Unnamed {
  final int id;

  const Unnamed({
    required this.id,
  });

  factory Unnamed.fromJson(Map<String, dynamic> json) => Unnamed(
        id: json["id"] as int,
      );

  Map<String, dynamic> toJson() => {
        "id": id,
      };
}

/// table public.*/ }, a new row
class UnnamedInsert {
  final int id;

  const UnnamedInsert({
    required this.id,
  });

  Map<String, dynamic> toJson() => {
        "id": id,
      };
}

/// table public.*/ }, what is to change
class UnnamedUpdate {
  final int? id;

  const UnnamedUpdate({
    this.id,
  });

  Map<String, dynamic> toJson() => {
        if (id != null) "id": id!,
      };
}

/// table public.all_types
class AllTypes {
  final int id;
  final bool? t0;
  final bool n0;
  final int? t1;
  final int n1;
  final int? t2;
  final int n2;
  final int? t3;
  final int n3;
  final int? t4;
  final int n4;
  final double? t5;
  final double n5;
  final double? t6;
  final double n6;
  final num? t7;
  final num n7;
  final String? t8;
  final String n8;
  final String? t9;
  final String n9;
  final String? t10;
  final String n10;
  final String? t11;
  final String n11;
  final String? t12;
  final String n12;
  final String? t13;
  final String n13;
  final String? t14;
  final String n14;
  final String? t15;
  final String n15;
  final String? t16;
  final String n16;
  final String? t17;
  final String n17;
  final String? t18;
  final String n18;
  final String? t19;
  final String n19;
  final Object? t20;
  final Object? n20;
  final Object? t21;
  final Object? n21;
  final String? t22;
  final String n22;
  final String? t23;
  final String n23;

  const AllTypes({
    required this.id,
    this.t0,
    required this.n0,
    this.t1,
    required this.n1,
    this.t2,
    required this.n2,
    this.t3,
    required this.n3,
    this.t4,
    required this.n4,
    this.t5,
    required this.n5,
    this.t6,
    required this.n6,
    this.t7,
    required this.n7,
    this.t8,
    required this.n8,
    this.t9,
    required this.n9,
    this.t10,
    required this.n10,
    this.t11,
    required this.n11,
    this.t12,
    required this.n12,
    this.t13,
    required this.n13,
    this.t14,
    required this.n14,
    this.t15,
    required this.n15,
    this.t16,
    required this.n16,
    this.t17,
    required this.n17,
    this.t18,
    required this.n18,
    this.t19,
    required this.n19,
    this.t20,
    required this.n20,
    this.t21,
    required this.n21,
    this.t22,
    required this.n22,
    this.t23,
    required this.n23,
  });

  factory AllTypes.fromJson(Map<String, dynamic> json) => AllTypes(
        id: json["id"] as int,
        t0: json["t0"] == null ? null : json["t0"] as bool,
        n0: json["n0"] as bool,
        t1: json["t1"] == null ? null : json["t1"] as int,
        n1: json["n1"] as int,
        t2: json["t2"] == null ? null : json["t2"] as int,
        n2: json["n2"] as int,
        t3: json["t3"] == null ? null : json["t3"] as int,
        n3: json["n3"] as int,
        t4: json["t4"] == null ? null : json["t4"] as int,
        n4: json["n4"] as int,
        t5: json["t5"] == null ? null : (json["t5"] as num).toDouble(),
        n5: (json["n5"] as num).toDouble(),
        t6: json["t6"] == null ? null : (json["t6"] as num).toDouble(),
        n6: (json["n6"] as num).toDouble(),
        t7: json["t7"] == null ? null : json["t7"] as num,
        n7: json["n7"] as num,
        t8: json["t8"] == null ? null : json["t8"] as String,
        n8: json["n8"] as String,
        t9: json["t9"] == null ? null : json["t9"] as String,
        n9: json["n9"] as String,
        t10: json["t10"] == null ? null : json["t10"] as String,
        n10: json["n10"] as String,
        t11: json["t11"] == null ? null : json["t11"] as String,
        n11: json["n11"] as String,
        t12: json["t12"] == null ? null : json["t12"] as String,
        n12: json["n12"] as String,
        t13: json["t13"] == null ? null : json["t13"] as String,
        n13: json["n13"] as String,
        t14: json["t14"] == null ? null : json["t14"] as String,
        n14: json["n14"] as String,
        t15: json["t15"] == null ? null : json["t15"] as String,
        n15: json["n15"] as String,
        t16: json["t16"] == null ? null : json["t16"] as String,
        n16: json["n16"] as String,
        t17: json["t17"] == null ? null : json["t17"] as String,
        n17: json["n17"] as String,
        t18: json["t18"] == null ? null : json["t18"] as String,
        n18: json["n18"] as String,
        t19: json["t19"] == null ? null : json["t19"] as String,
        n19: json["n19"] as String,
        t20: json["t20"],
        n20: json["n20"],
        t21: json["t21"],
        n21: json["n21"],
        t22: json["t22"] == null ? null : json["t22"] as String,
        n22: json["n22"] as String,
        t23: json["t23"] == null ? null : json["t23"] as String,
        n23: json["n23"] as String,
      );

  Map<String, dynamic> toJson() => {
        "id": id,
        "t0": t0,
        "n0": n0,
        "t1": t1,
        "n1": n1,
        "t2": t2,
        "n2": n2,
        "t3": t3,
        "n3": n3,
        "t4": t4,
        "n4": n4,
        "t5": t5,
        "n5": n5,
        "t6": t6,
        "n6": n6,
        "t7": t7,
        "n7": n7,
        "t8": t8,
        "n8": n8,
        "t9": t9,
        "n9": n9,
        "t10": t10,
        "n10": n10,
        "t11": t11,
        "n11": n11,
        "t12": t12,
        "n12": n12,
        "t13": t13,
        "n13": n13,
        "t14": t14,
        "n14": n14,
        "t15": t15,
        "n15": n15,
        "t16": t16,
        "n16": n16,
        "t17": t17,
        "n17": n17,
        "t18": t18,
        "n18": n18,
        "t19": t19,
        "n19": n19,
        "t20": t20,
        "n20": n20,
        "t21": t21,
        "n21": n21,
        "t22": t22,
        "n22": n22,
        "t23": t23,
        "n23": n23,
      };
}

/// table public.all_types, a new row
class AllTypesInsert {
  final bool? t0;
  final bool n0;
  final int? t1;
  final int n1;
  final int? t2;
  final int n2;
  final int? t3;
  final int n3;
  final int? t4;
  final int n4;
  final double? t5;
  final double n5;
  final double? t6;
  final double n6;
  final num? t7;
  final num n7;
  final String? t8;
  final String n8;
  final String? t9;
  final String n9;
  final String? t10;
  final String n10;
  final String? t11;
  final String n11;
  final String? t12;
  final String n12;
  final String? t13;
  final String n13;
  final String? t14;
  final String n14;
  final String? t15;
  final String n15;
  final String? t16;
  final String n16;
  final String? t17;
  final String n17;
  final String? t18;
  final String n18;
  final String? t19;
  final String n19;
  final Object? t20;
  final Object? n20;
  final Object? t21;
  final Object? n21;
  final String? t22;
  final String n22;
  final String? t23;
  final String n23;

  const AllTypesInsert({
    this.t0,
    required this.n0,
    this.t1,
    required this.n1,
    this.t2,
    required this.n2,
    this.t3,
    required this.n3,
    this.t4,
    required this.n4,
    this.t5,
    required this.n5,
    this.t6,
    required this.n6,
    this.t7,
    required this.n7,
    this.t8,
    required this.n8,
    this.t9,
    required this.n9,
    this.t10,
    required this.n10,
    this.t11,
    required this.n11,
    this.t12,
    required this.n12,
    this.t13,
    required this.n13,
    this.t14,
    required this.n14,
    this.t15,
    required this.n15,
    this.t16,
    required this.n16,
    this.t17,
    required this.n17,
    this.t18,
    required this.n18,
    this.t19,
    required this.n19,
    this.t20,
    required this.n20,
    this.t21,
    required this.n21,
    this.t22,
    required this.n22,
    this.t23,
    required this.n23,
  });

  Map<String, dynamic> toJson() => {
        if (t0 != null) "t0": t0!,
        "n0": n0,
        if (t1 != null) "t1": t1!,
        "n1": n1,
        if (t2 != null) "t2": t2!,
        "n2": n2,
        if (t3 != null) "t3": t3!,
        "n3": n3,
        if (t4 != null) "t4": t4!,
        "n4": n4,
        if (t5 != null) "t5": t5!,
        "n5": n5,
        if (t6 != null) "t6": t6!,
        "n6": n6,
        if (t7 != null) "t7": t7!,
        "n7": n7,
        if (t8 != null) "t8": t8!,
        "n8": n8,
        if (t9 != null) "t9": t9!,
        "n9": n9,
        if (t10 != null) "t10": t10!,
        "n10": n10,
        if (t11 != null) "t11": t11!,
        "n11": n11,
        if (t12 != null) "t12": t12!,
        "n12": n12,
        if (t13 != null) "t13": t13!,
        "n13": n13,
        if (t14 != null) "t14": t14!,
        "n14": n14,
        if (t15 != null) "t15": t15!,
        "n15": n15,
        if (t16 != null) "t16": t16!,
        "n16": n16,
        if (t17 != null) "t17": t17!,
        "n17": n17,
        if (t18 != null) "t18": t18!,
        "n18": n18,
        if (t19 != null) "t19": t19!,
        "n19": n19,
        if (t20 != null) "t20": t20!,
        "n20": n20,
        if (t21 != null) "t21": t21!,
        "n21": n21,
        if (t22 != null) "t22": t22!,
        "n22": n22,
        if (t23 != null) "t23": t23!,
        "n23": n23,
      };
}

/// table public.all_types, what is to change
class AllTypesUpdate {
  final Given<bool?>? t0;
  final bool? n0;
  final Given<int?>? t1;
  final int? n1;
  final Given<int?>? t2;
  final int? n2;
  final Given<int?>? t3;
  final int? n3;
  final Given<int?>? t4;
  final int? n4;
  final Given<double?>? t5;
  final double? n5;
  final Given<double?>? t6;
  final double? n6;
  final Given<num?>? t7;
  final num? n7;
  final Given<String?>? t8;
  final String? n8;
  final Given<String?>? t9;
  final String? n9;
  final Given<String?>? t10;
  final String? n10;
  final Given<String?>? t11;
  final String? n11;
  final Given<String?>? t12;
  final String? n12;
  final Given<String?>? t13;
  final String? n13;
  final Given<String?>? t14;
  final String? n14;
  final Given<String?>? t15;
  final String? n15;
  final Given<String?>? t16;
  final String? n16;
  final Given<String?>? t17;
  final String? n17;
  final Given<String?>? t18;
  final String? n18;
  final Given<String?>? t19;
  final String? n19;
  final Given<Object?>? t20;
  final Object? n20;
  final Given<Object?>? t21;
  final Object? n21;
  final Given<String?>? t22;
  final String? n22;
  final Given<String?>? t23;
  final String? n23;

  const AllTypesUpdate({
    this.t0,
    this.n0,
    this.t1,
    this.n1,
    this.t2,
    this.n2,
    this.t3,
    this.n3,
    this.t4,
    this.n4,
    this.t5,
    this.n5,
    this.t6,
    this.n6,
    this.t7,
    this.n7,
    this.t8,
    this.n8,
    this.t9,
    this.n9,
    this.t10,
    this.n10,
    this.t11,
    this.n11,
    this.t12,
    this.n12,
    this.t13,
    this.n13,
    this.t14,
    this.n14,
    this.t15,
    this.n15,
    this.t16,
    this.n16,
    this.t17,
    this.n17,
    this.t18,
    this.n18,
    this.t19,
    this.n19,
    this.t20,
    this.n20,
    this.t21,
    this.n21,
    this.t22,
    this.n22,
    this.t23,
    this.n23,
  });

  Map<String, dynamic> toJson() => {
        if (t0 != null) "t0": t0!.value,
        if (n0 != null) "n0": n0!,
        if (t1 != null) "t1": t1!.value,
        if (n1 != null) "n1": n1!,
        if (t2 != null) "t2": t2!.value,
        if (n2 != null) "n2": n2!,
        if (t3 != null) "t3": t3!.value,
        if (n3 != null) "n3": n3!,
        if (t4 != null) "t4": t4!.value,
        if (n4 != null) "n4": n4!,
        if (t5 != null) "t5": t5!.value,
        if (n5 != null) "n5": n5!,
        if (t6 != null) "t6": t6!.value,
        if (n6 != null) "n6": n6!,
        if (t7 != null) "t7": t7!.value,
        if (n7 != null) "n7": n7!,
        if (t8 != null) "t8": t8!.value,
        if (n8 != null) "n8": n8!,
        if (t9 != null) "t9": t9!.value,
        if (n9 != null) "n9": n9!,
        if (t10 != null) "t10": t10!.value,
        if (n10 != null) "n10": n10!,
        if (t11 != null) "t11": t11!.value,
        if (n11 != null) "n11": n11!,
        if (t12 != null) "t12": t12!.value,
        if (n12 != null) "n12": n12!,
        if (t13 != null) "t13": t13!.value,
        if (n13 != null) "n13": n13!,
        if (t14 != null) "t14": t14!.value,
        if (n14 != null) "n14": n14!,
        if (t15 != null) "t15": t15!.value,
        if (n15 != null) "n15": n15!,
        if (t16 != null) "t16": t16!.value,
        if (n16 != null) "n16": n16!,
        if (t17 != null) "t17": t17!.value,
        if (n17 != null) "n17": n17!,
        if (t18 != null) "t18": t18!.value,
        if (n18 != null) "n18": n18!,
        if (t19 != null) "t19": t19!.value,
        if (n19 != null) "n19": n19!,
        if (t20 != null) "t20": t20!.value,
        if (n20 != null) "n20": n20!,
        if (t21 != null) "t21": t21!.value,
        if (n21 != null) "n21": n21!,
        if (t22 != null) "t22": t22!.value,
        if (n22 != null) "n22": n22!,
        if (t23 != null) "t23": t23!.value,
        if (n23 != null) "n23": n23!,
      };
}

/// table public.arrays
class Arrays {
  final int id;
  final List<bool>? t0;
  final List<int>? t1;
  final List<int>? t2;
  final List<int>? t3;
  final List<int>? t4;
  final List<double>? t5;
  final List<double>? t6;
  final List<num>? t7;
  final List<String>? t8;
  final List<String>? t9;
  final List<String>? t10;
  final List<String>? t11;
  final List<String>? t12;
  final List<String>? t13;
  final List<String>? t14;
  final List<String>? t15;
  final List<String>? t16;
  final List<String>? t17;
  final List<String>? t18;
  final List<String>? t19;
  final List<Object?>? t20;
  final List<Object?>? t21;
  final List<String>? t22;
  final List<String>? t23;

  const Arrays({
    required this.id,
    this.t0,
    this.t1,
    this.t2,
    this.t3,
    this.t4,
    this.t5,
    this.t6,
    this.t7,
    this.t8,
    this.t9,
    this.t10,
    this.t11,
    this.t12,
    this.t13,
    this.t14,
    this.t15,
    this.t16,
    this.t17,
    this.t18,
    this.t19,
    this.t20,
    this.t21,
    this.t22,
    this.t23,
  });

  factory Arrays.fromJson(Map<String, dynamic> json) => Arrays(
        id: json["id"] as int,
        t0: json["t0"] == null ? null : (json["t0"] as List).map((e) => e as bool).toList(),
        t1: json["t1"] == null ? null : (json["t1"] as List).map((e) => e as int).toList(),
        t2: json["t2"] == null ? null : (json["t2"] as List).map((e) => e as int).toList(),
        t3: json["t3"] == null ? null : (json["t3"] as List).map((e) => e as int).toList(),
        t4: json["t4"] == null ? null : (json["t4"] as List).map((e) => e as int).toList(),
        t5: json["t5"] == null ? null : (json["t5"] as List).map((e) => (e as num).toDouble()).toList(),
        t6: json["t6"] == null ? null : (json["t6"] as List).map((e) => (e as num).toDouble()).toList(),
        t7: json["t7"] == null ? null : (json["t7"] as List).map((e) => e as num).toList(),
        t8: json["t8"] == null ? null : (json["t8"] as List).map((e) => e as String).toList(),
        t9: json["t9"] == null ? null : (json["t9"] as List).map((e) => e as String).toList(),
        t10: json["t10"] == null ? null : (json["t10"] as List).map((e) => e as String).toList(),
        t11: json["t11"] == null ? null : (json["t11"] as List).map((e) => e as String).toList(),
        t12: json["t12"] == null ? null : (json["t12"] as List).map((e) => e as String).toList(),
        t13: json["t13"] == null ? null : (json["t13"] as List).map((e) => e as String).toList(),
        t14: json["t14"] == null ? null : (json["t14"] as List).map((e) => e as String).toList(),
        t15: json["t15"] == null ? null : (json["t15"] as List).map((e) => e as String).toList(),
        t16: json["t16"] == null ? null : (json["t16"] as List).map((e) => e as String).toList(),
        t17: json["t17"] == null ? null : (json["t17"] as List).map((e) => e as String).toList(),
        t18: json["t18"] == null ? null : (json["t18"] as List).map((e) => e as String).toList(),
        t19: json["t19"] == null ? null : (json["t19"] as List).map((e) => e as String).toList(),
        t20: json["t20"] == null ? null : (json["t20"] as List).map((e) => e).toList(),
        t21: json["t21"] == null ? null : (json["t21"] as List).map((e) => e).toList(),
        t22: json["t22"] == null ? null : (json["t22"] as List).map((e) => e as String).toList(),
        t23: json["t23"] == null ? null : (json["t23"] as List).map((e) => e as String).toList(),
      );

  Map<String, dynamic> toJson() => {
        "id": id,
        "t0": t0,
        "t1": t1,
        "t2": t2,
        "t3": t3,
        "t4": t4,
        "t5": t5,
        "t6": t6,
        "t7": t7,
        "t8": t8,
        "t9": t9,
        "t10": t10,
        "t11": t11,
        "t12": t12,
        "t13": t13,
        "t14": t14,
        "t15": t15,
        "t16": t16,
        "t17": t17,
        "t18": t18,
        "t19": t19,
        "t20": t20,
        "t21": t21,
        "t22": t22,
        "t23": t23,
      };
}

/// table public.arrays, a new row
class ArraysInsert {
  final int? id;
  final List<bool>? t0;
  final List<int>? t1;
  final List<int>? t2;
  final List<int>? t3;
  final List<int>? t4;
  final List<double>? t5;
  final List<double>? t6;
  final List<num>? t7;
  final List<String>? t8;
  final List<String>? t9;
  final List<String>? t10;
  final List<String>? t11;
  final List<String>? t12;
  final List<String>? t13;
  final List<String>? t14;
  final List<String>? t15;
  final List<String>? t16;
  final List<String>? t17;
  final List<String>? t18;
  final List<String>? t19;
  final List<Object?>? t20;
  final List<Object?>? t21;
  final List<String>? t22;
  final List<String>? t23;

  const ArraysInsert({
    this.id,
    this.t0,
    this.t1,
    this.t2,
    this.t3,
    this.t4,
    this.t5,
    this.t6,
    this.t7,
    this.t8,
    this.t9,
    this.t10,
    this.t11,
    this.t12,
    this.t13,
    this.t14,
    this.t15,
    this.t16,
    this.t17,
    this.t18,
    this.t19,
    this.t20,
    this.t21,
    this.t22,
    this.t23,
  });

  Map<String, dynamic> toJson() => {
        if (id != null) "id": id!,
        if (t0 != null) "t0": t0!,
        if (t1 != null) "t1": t1!,
        if (t2 != null) "t2": t2!,
        if (t3 != null) "t3": t3!,
        if (t4 != null) "t4": t4!,
        if (t5 != null) "t5": t5!,
        if (t6 != null) "t6": t6!,
        if (t7 != null) "t7": t7!,
        if (t8 != null) "t8": t8!,
        if (t9 != null) "t9": t9!,
        if (t10 != null) "t10": t10!,
        if (t11 != null) "t11": t11!,
        if (t12 != null) "t12": t12!,
        if (t13 != null) "t13": t13!,
        if (t14 != null) "t14": t14!,
        if (t15 != null) "t15": t15!,
        if (t16 != null) "t16": t16!,
        if (t17 != null) "t17": t17!,
        if (t18 != null) "t18": t18!,
        if (t19 != null) "t19": t19!,
        if (t20 != null) "t20": t20!,
        if (t21 != null) "t21": t21!,
        if (t22 != null) "t22": t22!,
        if (t23 != null) "t23": t23!,
      };
}

/// table public.arrays, what is to change
class ArraysUpdate {
  final int? id;
  final Given<List<bool>?>? t0;
  final Given<List<int>?>? t1;
  final Given<List<int>?>? t2;
  final Given<List<int>?>? t3;
  final Given<List<int>?>? t4;
  final Given<List<double>?>? t5;
  final Given<List<double>?>? t6;
  final Given<List<num>?>? t7;
  final Given<List<String>?>? t8;
  final Given<List<String>?>? t9;
  final Given<List<String>?>? t10;
  final Given<List<String>?>? t11;
  final Given<List<String>?>? t12;
  final Given<List<String>?>? t13;
  final Given<List<String>?>? t14;
  final Given<List<String>?>? t15;
  final Given<List<String>?>? t16;
  final Given<List<String>?>? t17;
  final Given<List<String>?>? t18;
  final Given<List<String>?>? t19;
  final Given<List<Object?>?>? t20;
  final Given<List<Object?>?>? t21;
  final Given<List<String>?>? t22;
  final Given<List<String>?>? t23;

  const ArraysUpdate({
    this.id,
    this.t0,
    this.t1,
    this.t2,
    this.t3,
    this.t4,
    this.t5,
    this.t6,
    this.t7,
    this.t8,
    this.t9,
    this.t10,
    this.t11,
    this.t12,
    this.t13,
    this.t14,
    this.t15,
    this.t16,
    this.t17,
    this.t18,
    this.t19,
    this.t20,
    this.t21,
    this.t22,
    this.t23,
  });

  Map<String, dynamic> toJson() => {
        if (id != null) "id": id!,
        if (t0 != null) "t0": t0!.value,
        if (t1 != null) "t1": t1!.value,
        if (t2 != null) "t2": t2!.value,
        if (t3 != null) "t3": t3!.value,
        if (t4 != null) "t4": t4!.value,
        if (t5 != null) "t5": t5!.value,
        if (t6 != null) "t6": t6!.value,
        if (t7 != null) "t7": t7!.value,
        if (t8 != null) "t8": t8!.value,
        if (t9 != null) "t9": t9!.value,
        if (t10 != null) "t10": t10!.value,
        if (t11 != null) "t11": t11!.value,
        if (t12 != null) "t12": t12!.value,
        if (t13 != null) "t13": t13!.value,
        if (t14 != null) "t14": t14!.value,
        if (t15 != null) "t15": t15!.value,
        if (t16 != null) "t16": t16!.value,
        if (t17 != null) "t17": t17!.value,
        if (t18 != null) "t18": t18!.value,
        if (t19 != null) "t19": t19!.value,
        if (t20 != null) "t20": t20!.value,
        if (t21 != null) "t21": t21!.value,
        if (t22 != null) "t22": t22!.value,
        if (t23 != null) "t23": t23!.value,
      };
}

/// table public.notes
class Notes {
  final int id;
  final String owner;
  final String title;
  final num? price;
  final Object? j;
  final Mood m;
  final Mood? maybe;
  final List<Mood>? moods;
  final String? e;
  final List<String>? es;
  final String? fullTitle;

  const Notes({
    required this.id,
    required this.owner,
    required this.title,
    this.price,
    this.j,
    required this.m,
    this.maybe,
    this.moods,
    this.e,
    this.es,
    this.fullTitle,
  });

  factory Notes.fromJson(Map<String, dynamic> json) => Notes(
        id: json["id"] as int,
        owner: json["owner"] as String,
        title: json["title"] as String,
        price: json["price"] == null ? null : json["price"] as num,
        j: json["j"],
        m: Mood.of(json["m"]),
        maybe: json["maybe"] == null ? null : Mood.of(json["maybe"]),
        moods: json["moods"] == null ? null : (json["moods"] as List).map((e) => Mood.of(e)).toList(),
        e: json["e"] == null ? null : json["e"] as String,
        es: json["es"] == null ? null : (json["es"] as List).map((e) => e as String).toList(),
        fullTitle: json["full_title"] == null ? null : json["full_title"] as String,
      );

  Map<String, dynamic> toJson() => {
        "id": id,
        "owner": owner,
        "title": title,
        "price": price,
        "j": j,
        "m": m.wire,
        "maybe": maybe?.wire,
        "moods": moods?.map((e) => e.wire).toList(),
        "e": e,
        "es": es,
        "full_title": fullTitle,
      };
}

/// table public.notes, a new row
class NotesInsert {
  final int? id;
  final String? owner;
  final String title;
  final num? price;
  final Given<Object?>? j;
  final Mood? m;
  final Mood? maybe;
  final List<Mood>? moods;
  final String? e;
  final List<String>? es;

  const NotesInsert({
    this.id,
    this.owner,
    required this.title,
    this.price,
    this.j,
    this.m,
    this.maybe,
    this.moods,
    this.e,
    this.es,
  });

  Map<String, dynamic> toJson() => {
        if (id != null) "id": id!,
        if (owner != null) "owner": owner!,
        "title": title,
        if (price != null) "price": price!,
        if (j != null) "j": j!.value,
        if (m != null) "m": m!.wire,
        if (maybe != null) "maybe": maybe!.wire,
        if (moods != null) "moods": moods!.map((e) => e.wire).toList(),
        if (e != null) "e": e!,
        if (es != null) "es": es!,
      };
}

/// table public.notes, what is to change
class NotesUpdate {
  final int? id;
  final String? owner;
  final String? title;
  final Given<num?>? price;
  final Given<Object?>? j;
  final Mood? m;
  final Given<Mood?>? maybe;
  final Given<List<Mood>?>? moods;
  final Given<String?>? e;
  final Given<List<String>?>? es;

  const NotesUpdate({
    this.id,
    this.owner,
    this.title,
    this.price,
    this.j,
    this.m,
    this.maybe,
    this.moods,
    this.e,
    this.es,
  });

  Map<String, dynamic> toJson() => {
        if (id != null) "id": id!,
        if (owner != null) "owner": owner!,
        if (title != null) "title": title!,
        if (price != null) "price": price!.value,
        if (j != null) "j": j!.value,
        if (m != null) "m": m!.wire,
        if (maybe != null) "maybe": maybe!.value?.wire,
        if (moods != null) "moods": moods!.value?.map((e) => e.wire).toList(),
        if (e != null) "e": e!.value,
        if (es != null) "es": es!.value,
      };
}

/// table public.order items
class OrderItems {
  final String class_;
  final int? n1st;
  final int? aB;
  final int? aB2;
  final int? aB3;
  final int? unnamed;
  final int? unnamed2;
  final String? toString_;
  final String? xYZ;
  final int? hTTPCode;
  final int id;
  final String? name;
  final int? value;
  final String? type;
  final String? file;

  const OrderItems({
    required this.class_,
    this.n1st,
    this.aB,
    this.aB2,
    this.aB3,
    this.unnamed,
    this.unnamed2,
    this.toString_,
    this.xYZ,
    this.hTTPCode,
    required this.id,
    this.name,
    this.value,
    this.type,
    this.file,
  });

  factory OrderItems.fromJson(Map<String, dynamic> json) => OrderItems(
        class_: json["class"] as String,
        n1st: json["1st"] == null ? null : json["1st"] as int,
        aB: json["a b"] == null ? null : json["a b"] as int,
        aB2: json["a_b"] == null ? null : json["a_b"] as int,
        aB3: json["aB"] == null ? null : json["aB"] as int,
        unnamed: json["\$"] == null ? null : json["\$"] as int,
        unnamed2: json["é"] == null ? null : json["é"] as int,
        toString_: json["toString"] == null ? null : json["toString"] as String,
        xYZ: json["x\"y\\z"] == null ? null : json["x\"y\\z"] as String,
        hTTPCode: json["HTTPCode"] == null ? null : json["HTTPCode"] as int,
        id: json["ID"] as int,
        name: json["name"] == null ? null : json["name"] as String,
        value: json["value"] == null ? null : json["value"] as int,
        type: json["type"] == null ? null : json["type"] as String,
        file: json["file"] == null ? null : json["file"] as String,
      );

  Map<String, dynamic> toJson() => {
        "class": class_,
        "1st": n1st,
        "a b": aB,
        "a_b": aB2,
        "aB": aB3,
        "\$": unnamed,
        "é": unnamed2,
        "toString": toString_,
        "x\"y\\z": xYZ,
        "HTTPCode": hTTPCode,
        "ID": id,
        "name": name,
        "value": value,
        "type": type,
        "file": file,
      };
}

/// table public.order items, a new row
class OrderItemsInsert {
  final String class_;
  final int? n1st;
  final int? aB;
  final int? aB2;
  final int? aB3;
  final int? unnamed;
  final int? unnamed2;
  final String? toString_;
  final String? xYZ;
  final int? hTTPCode;
  final int id;
  final String? name;
  final int? value;
  final String? type;
  final String? file;

  const OrderItemsInsert({
    required this.class_,
    this.n1st,
    this.aB,
    this.aB2,
    this.aB3,
    this.unnamed,
    this.unnamed2,
    this.toString_,
    this.xYZ,
    this.hTTPCode,
    required this.id,
    this.name,
    this.value,
    this.type,
    this.file,
  });

  Map<String, dynamic> toJson() => {
        "class": class_,
        if (n1st != null) "1st": n1st!,
        if (aB != null) "a b": aB!,
        if (aB2 != null) "a_b": aB2!,
        if (aB3 != null) "aB": aB3!,
        if (unnamed != null) "\$": unnamed!,
        if (unnamed2 != null) "é": unnamed2!,
        if (toString_ != null) "toString": toString_!,
        if (xYZ != null) "x\"y\\z": xYZ!,
        if (hTTPCode != null) "HTTPCode": hTTPCode!,
        "ID": id,
        if (name != null) "name": name!,
        if (value != null) "value": value!,
        if (type != null) "type": type!,
        if (file != null) "file": file!,
      };
}

/// table public.order items, what is to change
class OrderItemsUpdate {
  final String? class_;
  final Given<int?>? n1st;
  final Given<int?>? aB;
  final Given<int?>? aB2;
  final Given<int?>? aB3;
  final Given<int?>? unnamed;
  final Given<int?>? unnamed2;
  final Given<String?>? toString_;
  final Given<String?>? xYZ;
  final Given<int?>? hTTPCode;
  final int? id;
  final Given<String?>? name;
  final Given<int?>? value;
  final Given<String?>? type;
  final Given<String?>? file;

  const OrderItemsUpdate({
    this.class_,
    this.n1st,
    this.aB,
    this.aB2,
    this.aB3,
    this.unnamed,
    this.unnamed2,
    this.toString_,
    this.xYZ,
    this.hTTPCode,
    this.id,
    this.name,
    this.value,
    this.type,
    this.file,
  });

  Map<String, dynamic> toJson() => {
        if (class_ != null) "class": class_!,
        if (n1st != null) "1st": n1st!.value,
        if (aB != null) "a b": aB!.value,
        if (aB2 != null) "a_b": aB2!.value,
        if (aB3 != null) "aB": aB3!.value,
        if (unnamed != null) "\$": unnamed!.value,
        if (unnamed2 != null) "é": unnamed2!.value,
        if (toString_ != null) "toString": toString_!.value,
        if (xYZ != null) "x\"y\\z": xYZ!.value,
        if (hTTPCode != null) "HTTPCode": hTTPCode!.value,
        if (id != null) "ID": id!,
        if (name != null) "name": name!.value,
        if (value != null) "value": value!.value,
        if (type != null) "type": type!.value,
        if (file != null) "file": file!.value,
      };
}

/// table public.string
class String2 {
  final int id;

  const String2({
    required this.id,
  });

  factory String2.fromJson(Map<String, dynamic> json) => String2(
        id: json["id"] as int,
      );

  Map<String, dynamic> toJson() => {
        "id": id,
      };
}

/// table public.string, a new row
class StringInsert {
  final int id;

  const StringInsert({
    required this.id,
  });

  Map<String, dynamic> toJson() => {
        "id": id,
      };
}

/// table public.string, what is to change
class StringUpdate {
  final int? id;

  const StringUpdate({
    this.id,
  });

  Map<String, dynamic> toJson() => {
        if (id != null) "id": id!,
      };
}

/// view public.titles
class Titles {
  final int? id;
  final String? title;
  final Mood? m;

  const Titles({
    this.id,
    this.title,
    this.m,
  });

  factory Titles.fromJson(Map<String, dynamic> json) => Titles(
        id: json["id"] == null ? null : json["id"] as int,
        title: json["title"] == null ? null : json["title"] as String,
        m: json["m"] == null ? null : Mood.of(json["m"]),
      );

  Map<String, dynamic> toJson() => {
        "id": id,
        "title": title,
        "m": m?.wire,
      };
}

/// function public.find
class FindArgs {
  final String q;
  final int? lim;

  const FindArgs({
    required this.q,
    this.lim,
  });

  Map<String, dynamic> toJson() => {
        "q": q,
        if (lim != null) "lim": lim!,
      };
}

/// function public.nothing
class NothingArgs {
  final bool switch_;

  const NothingArgs({
    required this.switch_,
  });

  Map<String, dynamic> toJson() => {
        "switch": switch_,
      };
}

/// function public.pair
class PairArgs {
  final int x;

  const PairArgs({
    required this.x,
  });

  Map<String, dynamic> toJson() => {
        "x": x,
      };
}

/// function public.pair, a row of it
class PairRow {
  final int? a;
  final String? b;

  const PairRow({
    this.a,
    this.b,
  });

  factory PairRow.fromJson(Map<String, dynamic> json) => PairRow(
        a: json["a"] == null ? null : json["a"] as int,
        b: json["b"] == null ? null : json["b"] as String,
      );

  Map<String, dynamic> toJson() => {
        "a": a,
        "b": b,
      };
}

/// function public.find, what it gives
typedef FindReturns = List<Notes>;

/// function public.how_many, what it gives
typedef HowManyReturns = int;

/// function public.names, what it gives
typedef NamesReturns = List<String>;

/// function public.pair, what it gives
typedef PairReturns = List<PairRow>;
