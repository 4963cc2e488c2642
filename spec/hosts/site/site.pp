# What a node is stands in its data.
lookup('classes', Array[String[1]], 'unique', []).include
