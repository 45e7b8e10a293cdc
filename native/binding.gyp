{
  "targets": [
    {
      "target_name": "keysteer",
      "sources": ["keysteer.cc", "af_packet.cc", "tap.cc", "interface.cc", "batch.cc"],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS"],
      "cflags_cc": ["-std=c++17", "-Wall", "-Wextra", "-fno-exceptions"],
      "cflags_cc!": ["-fexceptions"],
      "ldflags": ["-static-libstdc++", "-static-libgcc"]
    }
  ]
}
